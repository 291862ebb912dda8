-- HDP for Wireshark and tshark, 3.6 and later.
--
--  0                   1                   2                   3
--  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
-- +-------------------------------+-------------------------------+
-- |          Source Port          |       Destination Port        |
-- +-------------------------------+-------------------------------+
-- |                                                               |
-- +           Timestamp (nanoseconds since the Unix epoch)        +
-- |                                                               |
-- +---------------------------------------------------------------+
-- |                          Payload ...                          |
-- +---------------------------------------------------------------+
--
-- HDP goes straight on IPv4 or IPv6 under any of the 256 protocol numbers, so it is claimed in
-- three layers, and once more in UDP:
--
--   1. by number, whatever the bytes: the numbers of a preference (253-255), and Decode As;
--   2. by a heuristic before IP's own protocols: every other number, where the timestamp lies
--      within a day of the capture time, as src/decode tells HDP from other bytes;
--   3. by a postdissector with the same test: IPv6 next headers that IPv6 takes for its own;
--   4. by a heuristic in UDP with the same test: the control, with port 420 on either side.
--
-- Genuine traffic under the same numbers stays exactly as it is without this script. The
-- heuristic needs ip.try_heuristic_first and ipv6.try_heuristic_first, which are switched on below
-- unless the user has said otherwise; nothing is written to the user's preferences.
--
-- What `hdp path --annotate` wrote into packet comments becomes fields: hdp.fate and its like.
--
-- The file runs on Lua 5.2 (Wireshark up to 4.2) and 5.4 (4.4 and later).

set_plugin_info({
    version = "0.1.0",
    description = "HDP, a 12-byte header straight on IP under any protocol number",
})

local HEADER_LEN = 12
-- What the shortest ICMP quotes hold of a packet behind its IP header (RFC 792).
local QUOTED_AT_LEAST = 8
-- The port of the article's client and server, by which the control in UDP is known.
local PORT = 420
-- How its packets are claimed.
local UDP_CLAIM = "UDP port 420"
local IPPROTO_UDP, IPPROTO_FRAGMENT, IPPROTO_AH, IPPROTO_NONE = 17, 44, 51, 59
-- The timestamp's upper half counts in units of 2^32 ns.
local UPPER_HALF_SECONDS = 4.294967296
-- Dates that are HDP's where a frame has no capture time: 2001-09-09 to 2096-10-02.
local FIRST_DATE, LAST_DATE = 1e9, 4e9
-- A capture time is cut to its resolution: so much before the timestamp is no future.
local COARSEST_RESOLUTION = 1e-6
-- Shorter than this, many a word of a language is base64 too.
local MIN_BASE64_LEN = 8

-- Headers that another header may stand behind; their own "next header" names it.
local TRANSPARENT = {
    [0] = true, [43] = true, [44] = true, [51] = true, [60] = true, [135] = true, [139] = true, [140] = true,
}

-- IANA's keywords from 0 on, "-" where a number has none, "_" for a blank.
local KEYWORDS = {}
for keyword in ([[
    HOPOPT ICMP IGMP GGP IPv4 ST TCP CBT EGP IGP BBN-RCC-MON NVP-II PUP ARGUS EMCON XNET CHAOS UDP
    MUX DCN-MEAS HMP PRM XNS-IDP TRUNK-1 TRUNK-2 LEAF-1 LEAF-2 RDP IRTP ISO-TP4 NETBLT MFE-NSP
    MERIT-INP DCCP 3PC IDPR XTP DDP IDPR-CMTP TP++ IL IPv6 SDRP IPv6-Route IPv6-Frag IDRP RSVP GRE
    DSR BNA ESP AH I-NLSP SWIPE NARP Min-IPv4 TLSP SKIP IPv6-ICMP IPv6-NoNxt IPv6-Opts - CFTP -
    SAT-EXPAK KRYPTOLAN RVD IPPC - SAT-MON VISA IPCV CPNX CPHB WSN PVP BR-SAT-MON SUN-ND WB-MON
    WB-EXPAK ISO-IP VMTP SECURE-VMTP VINES IPTM NSFNET-IGP DGP TCF EIGRP OSPFIGP Sprite-RPC LARP MTP
    AX.25 IPIP MICP SCC-SP ETHERIP ENCAP - GMTP IFMP PNNI PIM ARIS SCPS QNX A/N IPComp SNP
    Compaq-Peer IPX-in-IP VRRP PGM - L2TP DDX IATP STP SRP UTI SMP SM PTP ISIS_over_IPv4 FIRE CRTP
    CRUDP SSCOPMCE IPLT SPS PIPE SCTP FC RSVP-E2E-IGNORE Mobility_Header UDPLite MPLS-in-IP manet
    HIP Shim6 WESP ROHC Ethernet AGGFRAG NSH Homa BIT-EMU
]]):gmatch("%S+") do
    KEYWORDS[#KEYWORDS + 1] = keyword
end

-- "50 ESP"
local function name_of(number)
    local keyword = number == 255 and "Reserved" or KEYWORDS[number + 1]
    if not keyword or keyword == "-" then
        return tostring(number)
    end
    return number .. " " .. keyword:gsub("_", " ")
end

-- A script that is loaded a second time, from two folders or by -X lua_script, leaves it at the first.
local is_first, hdp = pcall(Proto, "hdp", "HDP")
if not is_first then
    return
end

-- Fields and experts ------------------------------------------------------------------------------

local f = {
    srcport = ProtoField.uint16("hdp.srcport", "Source port"),
    dstport = ProtoField.uint16("hdp.dstport", "Destination port"),
    port = ProtoField.uint16("hdp.port", "Source or destination port"),
    timestamp = ProtoField.absolute_time("hdp.timestamp", "Timestamp", base.UTC),
    timestamp_ns = ProtoField.uint64("hdp.timestamp.ns", "Timestamp (ns)"),
    delay = ProtoField.relative_time("hdp.delay", "Delay", "Capture time less timestamp"),
    ip_proto = ProtoField.uint8("hdp.ip_proto", "IP protocol number"),
    claim = ProtoField.string("hdp.claim", "Claimed by"),
    is_quote = ProtoField.bool("hdp.is_quote", "Stands in an ICMP error"),
    payload = ProtoField.bytes("hdp.payload", "Payload"),
    payload_len = ProtoField.uint32("hdp.payload.length", "Payload length",
        base.DEC, nil, nil, "By the IP header's word, whatever was captured"),
    encoding = ProtoField.string("hdp.payload.encoding", "Payload is possibly"),
    decoded = ProtoField.bytes("hdp.payload.decoded", "Payload, decoded"),
    fate = ProtoField.string("hdp.fate", "Fate"),
    segment = ProtoField.string("hdp.segment", "Lost between"),
    pair = ProtoField.string("hdp.pair", "Point and frame that saw the packet"),
    path_delay = ProtoField.relative_time("hdp.path_delay", "Delay from the first point to the last"),
    altered = ProtoField.bool("hdp.altered", "Altered on the way"),
}

local e = {
    short = ProtoExpert.new("hdp.short", "Shorter than HDP's header of 12 bytes",
        expert.group.MALFORMED, expert.severity.ERROR),
    snaplen = ProtoExpert.new("hdp.snaplen", "Header cut by the capture's snapshot length",
        expert.group.UNDECODED, expert.severity.NOTE),
    quoted = ProtoExpert.new("hdp.quoted", "Quoted by an ICMP error",
        expert.group.COMMENTS_GROUP, expert.severity.CHAT),
    implausible = ProtoExpert.new("hdp.timestamp.implausible", "Timestamp far from the capture time: HDP?",
        expert.group.PROTOCOL, expert.severity.WARN),
    future = ProtoExpert.new("hdp.timestamp.future", "Timestamp after the capture time: clocks differ",
        expert.group.SEQUENCE, expert.severity.NOTE),
}

local function values(map)
    local list = {}
    for _, value in pairs(map) do
        list[#list + 1] = value
    end
    return list
end

hdp.fields = values(f)
hdp.experts = values(e)

-- Preferences -------------------------------------------------------------------------------------

hdp.prefs.numbers = Pref.range("Protocol numbers that are always HDP", "253-255",
    "Under these every packet is shown as HDP; under the others those with a plausible timestamp", 255)
hdp.prefs.window = Pref.uint("Plausibility window (seconds)", 86400,
    "How far the timestamp may lie from the capture time where HDP is told by it; "
    .. "a day takes 9 other packets in a million for HDP")
hdp.prefs.base64 = Pref.bool("Decode base64", true,
    "Show a payload that is possibly base64 decoded, on a tab of its own")

local window, decodes_base64
-- What stood in the table before, by number; false where nothing did.
local replaced = {}

local function numbers_of(ranges)
    local numbers = {}
    for first, last in ranges:gmatch("(%d+)%-?(%d*)") do
        for number = tonumber(first), tonumber(last) or tonumber(first) do
            numbers[number] = true
        end
    end
    return numbers
end

-- The preferences as they are: at load they hold their defaults and nobody tells.
local function apply()
    window = hdp.prefs.window
    decodes_base64 = hdp.prefs.base64
    local table = DissectorTable.get("ip.proto")
    local wanted = numbers_of(hdp.prefs.numbers)
    for number, before in pairs(replaced) do
        if not wanted[number] then
            -- Removal alone would leave the number without any dissector.
            table:remove(number, hdp)
            if before then
                table:add(number, before)
            end
            replaced[number] = nil
        end
    end
    for number in pairs(wanted) do
        if replaced[number] == nil then
            replaced[number] = table:get_dissector(number) or false
            table:add(number, hdp)
        end
    end
end

hdp.prefs_changed = apply

-- What other dissectors have read -----------------------------------------------------------------

local frame_time = Field.new("frame.time_epoch")
local frame_comment = Field.new("frame.comment")
local ip_proto = Field.new("ip.proto")
local ipv6_nxt = Field.new("ipv6.nxt")
local icmp_type = Field.new("icmp.type")
local icmpv6_type = Field.new("icmpv6.type")

-- "Next header" of the transparent headers; not every version knows all of them.
local next_headers = {}
for _, name in ipairs({
    "ipv6.hopopts.nxt", "ipv6.dstopts.nxt", "ipv6.routing.nxt", "ipv6.fraghdr.nxt", "ah.next_header",
    "mip6.proto", "hip.proto", "shim6.nxt",
}) do
    local is_known, field = pcall(Field.new, name)
    if is_known then
        next_headers[#next_headers + 1] = field
    end
end

local function last(...)
    local count = select("#", ...)
    if count > 0 then
        return (select(count, ...))
    end
end

-- The "next header" nearest before `offset`, or before a datagram that was joined from fragments.
local function nearest_next_header(offset)
    local nearest, number = -1, nil
    for _, field in ipairs(next_headers) do
        for _, found in ipairs({ field() }) do
            if found.offset > nearest and (found.offset < offset or offset == 0) then
                nearest, number = found.offset, found.value
            end
        end
    end
    return number
end

-- The field of the innermost IP header that names what follows, and whether it is IPv4's.
local function innermost_ip()
    local v4, v6 = last(ip_proto()), last(ipv6_nxt())
    if v4 and not (v6 and v6.offset > v4.offset) then
        return v4, true
    end
    return v6, false
end

-- The number of the header right before `tvb`. pinfo.match_uint is another's in a heuristic.
local function number_before(tvb)
    local ip, is_v4 = innermost_ip()
    local number = ip and ip.value or 0
    if TRANSPARENT[number] then
        local start
        if is_v4 then
            start = ip.offset - 9 + ip.source(ip.offset - 9, 1):bitfield(4, 4) * 4
        else
            start = ip.offset + 34
        end
        if tvb:offset() ~= start then
            return nearest_next_header(tvb:offset()) or number
        end
    end
    return number
end

-- The length from `tvb` on that the IP header in an ICMP error's quote states; Wireshark knows what
-- is left of it only.
local function quoted_len(tvb)
    local ip, is_v4 = innermost_ip()
    if not ip then
        return tvb:reported_len()
    end
    local source, at = ip.source, ip.offset
    if is_v4 then
        return at - 9 + source(at - 7, 2):uint() - tvb:offset()
    end
    return at + 34 + source(at - 2, 2):uint() - tvb:offset()
end

-- Where an ICMP error's quote ends, if the error says so: what follows are extensions (RFC 4884).
local function quote_end()
    local v4, v6 = icmp_type(), icmpv6_type()
    local icmp, words = v4 or v6, 0
    if v4 and (v4.value == 3 or v4.value == 11 or v4.value == 12) then
        words = v4.source(v4.offset + 5, 1):uint()
    elseif not v4 and v6 and (v6.value == 1 or v6.value == 3) then
        words = v6.source(v6.offset + 4, 1):uint() * 2
    end
    return words > 0 and icmp.offset + 8 + words * 4 or nil
end

-- Times -------------------------------------------------------------------------------------------

-- An NSTime of a timestamp, exact: a double has not so many digits.
local function time_of(range)
    local timestamp = range:uint64()
    return NSTime.new((timestamp / 1000000000):tonumber(), (timestamp % 1000000000):tonumber())
end

-- Whether the timestamp lies within the window, in as far as the captured part of it tells. Most
-- packets that are not HDP cost no more than the first comparison.
local function is_plausible(tvb, pinfo)
    local upper_half = tvb(4, 4):uint() * UPPER_HALF_SECONDS
    local late = pinfo.abs_ts - upper_half
    if late > window + UPPER_HALF_SECONDS or late < -window then
        return pinfo.abs_ts == 0 and not frame_time() and upper_half >= FIRST_DATE and upper_half < LAST_DATE
    end
    -- The lower half decides near the window's ends only.
    if tvb:captured_len() < HEADER_LEN or late > UPPER_HALF_SECONDS + 1 - window and late < window - 1 then
        return true
    end
    local delay = (frame_time().value - time_of(tvb(4, 8))):tonumber()
    return delay <= window and delay >= -window
end

-- Payload -----------------------------------------------------------------------------------------

-- Whether bytes are UTF-8 without control characters other than white space.
local function is_text(bytes)
    if bytes:find("[\0-\8\11\12\14-\31\127]") or bytes:find("\194[\128-\159]") then
        return false
    end
    local rest = bytes
        :gsub("[\240-\244][\128-\191][\128-\191][\128-\191]", "")
        :gsub("[\224-\239][\128-\191][\128-\191]", "")
        :gsub("[\194-\223][\128-\191]", "")
    return not rest:find("[\128-\255]")
end

-- The bytes behind base64 if the text may well be that: whole, with its padding, and text again.
local function decode_base64(range)
    local text = range:bytes():raw():gsub("[\r\n]", "")
    if #text < MIN_BASE64_LEN or #text % 4 ~= 0 or not text:find("^[%w+/]+=?=?$") then
        return nil
    end
    local decoded = ByteArray.new(text, true):base64_decode()
    if decoded:len() == 0 or not is_text(decoded:raw()) then
        return nil
    end
    return decoded
end

local function add_payload(tree, tvb, len, is_whole)
    local captured = tvb:captured_len() - HEADER_LEN
    if captured > len then
        captured = len
    end
    tree:add(f.payload_len, tvb(HEADER_LEN, captured), len):set_generated()
    if captured == 0 then
        return
    end
    local range = tvb(HEADER_LEN, captured)
    tree:add(f.payload, range)
    if decodes_base64 and is_whole and captured == len and len >= MIN_BASE64_LEN then
        local decoded = decode_base64(range)
        if decoded then
            tree:add(f.encoding, range, "base64"):set_generated()
            tree:add(f.decoded, decoded:tvb("HDP payload, base64")())
        end
    end
end

-- The packet --------------------------------------------------------------------------------------

-- The frame of the last claim and where in it HDP began: what is claimed once is not claimed again.
local claimed_frame, claimed_offset

local function add_ports(tree, tvb)
    local source, destination = tvb(0, 2), tvb(2, 2)
    tree:add(f.srcport, source)
    tree:add(f.dstport, destination)
    tree:add(f.port, source):set_hidden()
    tree:add(f.port, destination):set_hidden()
    return source:uint(), destination:uint()
end

-- Adds what is there of a packet that is not whole.
local function add_stump(tree, tvb, reported)
    local captured = tvb:captured_len()
    if captured >= 4 then
        add_ports(tree, tvb)
    end
    if reported < HEADER_LEN then
        tree:add_proto_expert_info(e.short, string.format("HDP header needs 12 bytes, got %d", reported))
    else
        tree:add_proto_expert_info(e.snaplen,
            string.format("HDP header needs 12 bytes, the capture kept %d", captured))
    end
end

-- Adds the first 8 bytes of a packet that an ICMP error quotes.
local function add_upper_half(tree, tvb, reported)
    add_ports(tree, tvb)
    tree:add(tvb(4, 4), string.format("Timestamp's upper half: %d s since the epoch, to within 4.29 s",
        math.floor(tvb(4, 4):uint() * UPPER_HALF_SECONDS)))
    if reported >= HEADER_LEN then
        tree:add(f.payload_len, tvb(4, 4), reported - HEADER_LEN):set_generated()
    end
end

-- Adds HDP to the tree. `reported` is the length that IP announces, `is_quote` that the packet
-- stands in an ICMP error.
local function add(tvb, pinfo, root, claim, number, reported, is_quote)
    claimed_frame, claimed_offset = pinfo.number, tvb:offset()
    local finish = is_quote and quote_end()
    if finish and finish > tvb:offset() and finish < tvb:offset() + tvb:captured_len() then
        tvb = tvb(0, finish - tvb:offset()):tvb()
    end
    local captured = tvb:captured_len()
    local tree = root:add(hdp, tvb())
    tree:add(f.ip_proto, number):set_generated()
    tree:add(f.claim, claim):set_generated()
    if is_quote then
        tree:add(f.is_quote, true):set_hidden()
        tree:add_proto_expert_info(e.quoted)
    else
        pinfo.cols.protocol = "HDP"
    end
    local is_upper_half = is_quote and captured >= QUOTED_AT_LEAST
        and (captured < HEADER_LEN
            or not tvb(QUOTED_AT_LEAST):bytes():raw():find("[^\0]"))
    if is_upper_half then
        return add_upper_half(tree, tvb, reported)
    elseif captured < HEADER_LEN then
        return add_stump(tree, tvb, reported)
    end

    local source, destination = add_ports(tree, tvb)
    local range = tvb(4, 8)
    local timestamp = time_of(range)
    tree:add(f.timestamp, range, timestamp)
    tree:add(f.timestamp_ns, range):set_hidden()
    local len = reported - HEADER_LEN
    if is_quote then
        return add_payload(tree, tvb, len, not pinfo.fragmented)
    end
    local time = frame_time()
    if time then
        local delay = time.value - timestamp
        tree:add(f.delay, range, delay):set_generated()
        local seconds = delay:tonumber()
        if seconds > window or seconds < -window then
            tree:add_proto_expert_info(e.implausible)
        elseif seconds < -COARSEST_RESOLUTION then
            tree:add_proto_expert_info(e.future)
        end
    end
    add_payload(tree, tvb, len, not pinfo.fragmented)
    local info = string.format("%d → %d  Len=%d", source, destination, len)
    local name = claim == UDP_CLAIM and "UDP control" or name_of(number)
    pinfo.cols.info = name .. "  " .. info
    tree:append_text(", " .. name .. ", " .. info)
end

-- Claims ------------------------------------------------------------------------------------------

-- By number, and Decode As: whatever the bytes.
function hdp.dissector(tvb, pinfo, root)
    local captured = tvb:captured_len()
    if captured == 0 then
        -- There is nothing to show, and 0 would mean that somebody else should try.
        return 1
    end
    local is_quote = pinfo.in_error_pkt
    local len = is_quote and quoted_len(tvb) or tvb:reported_len()
    add(tvb, pinfo, root, "protocol number", number_before(tvb), len, is_quote)
    return captured
end

-- Whether the bytes are a UDP header whose length field is right. HDP under 17 has the upper bits
-- of its timestamp there; HDP of exactly that length is given up for the sake of all UDP.
local function is_udp(tvb, pinfo, len)
    local stated = tvb(4, 2):uint()
    if pinfo.fragmented then
        return stated > len and not is_plausible(tvb, pinfo)
    end
    return stated == len
end

-- Whether bytes may be HDP by their timestamp. What is turned down here goes on as if nobody had
-- asked, so that has to be cheap.
local function may_be_hdp(tvb, pinfo, is_quote)
    local captured = tvb:captured_len()
    return (captured >= HEADER_LEN or is_quote and captured >= QUOTED_AT_LEAST) and is_plausible(tvb, pinfo)
end

-- Adds what may be HDP, if its number and length leave it that; tells whether it did.
local function claim(tvb, pinfo, root, layer, number, len, is_quote)
    local is_cut = tvb:captured_len() < HEADER_LEN
    if len < HEADER_LEN or number == IPPROTO_UDP and not is_cut and is_udp(tvb, pinfo, len) then
        return false
    end
    add(tvb, pinfo, root, layer, number, len, is_quote)
    return true
end

-- By the timestamp, before IP's own protocols.
local function ip_heuristic(tvb, pinfo, root)
    local is_quote = pinfo.in_error_pkt
    if not may_be_hdp(tvb, pinfo, is_quote) then
        return false
    end
    local len = is_quote and quoted_len(tvb) or tvb:reported_len()
    return claim(tvb, pinfo, root, "heuristic", number_before(tvb), len, is_quote)
end

-- The control: HDP in a valid UDP datagram.
local function udp_heuristic(tvb, pinfo, root)
    if pinfo.src_port ~= PORT and pinfo.dst_port ~= PORT
        or not may_be_hdp(tvb, pinfo, false) then
        return false
    end
    local is_quote = pinfo.in_error_pkt
    local len = is_quote and quoted_len(tvb) or tvb:reported_len()
    add(tvb, pinfo, root, UDP_CLAIM, IPPROTO_UDP, len, is_quote)
    return true
end

hdp:register_heuristic("ip", ip_heuristic)
hdp:register_heuristic("udp", udp_heuristic)

-- After all others --------------------------------------------------------------------------------

-- The header's own "next header" and length, as IPv6 counts it.
local function behind(source, number, start)
    local next_header, units = source(start, 1):uint(), source(start + 1, 1):uint()
    if number == IPPROTO_AH then
        return next_header, start + (units + 2) * 4
    elseif number == IPPROTO_FRAGMENT then
        return next_header, start + 8
    end
    return next_header, start + (units + 1) * 8
end

-- Whether IPv6 reads what follows by itself, so that no dissector is asked.
local function is_taken_by_ipv6(number)
    return TRANSPARENT[number] or number == IPPROTO_NONE
end

-- HDP under a next header that IPv6 has taken for its own, from where the base header ends, or
-- behind such headers where others did not get to.
local function claim_behind_ipv6(nxt, pinfo, root)
    local source, start, number = nxt.source, nxt.offset + 34, nxt.value
    local len = source(nxt.offset - 2, 2):uint()
    -- 0 is a segment that the network card was left to cut: the frame's length counts.
    local finish = len > 0 and start + len or source:reported_len()
    local captured = math.min(source:captured_len(), finish)
    -- The error's own header stands before the packet that it quotes.
    local icmp = icmpv6_type()
    local is_quote = icmp ~= nil and icmp.offset < nxt.offset
    local is_fragment = false
    while captured - start >= QUOTED_AT_LEAST do
        if claimed_frame == pinfo.number and claimed_offset == start then
            return
        end
        local tvb = source(start, captured - start):tvb()
        if may_be_hdp(tvb, pinfo, is_quote)
            and claim(tvb, pinfo, root, "postdissector", number, finish - start, is_quote) then
            return
        end
        if not TRANSPARENT[number] or number == IPPROTO_FRAGMENT and source(start + 2, 2):uint() >= 8 then
            return
        end
        is_fragment = is_fragment or number == IPPROTO_FRAGMENT
        number, start = behind(source, number, start)
        -- Other numbers are claimed where Wireshark shows the joined datagram.
        if is_fragment and not is_taken_by_ipv6(number) then
            return
        end
    end
end

-- "0.000123456 s" as an NSTime, which keeps its sign in both members.
local function span(text)
    local sign, seconds, nanoseconds = text:match("^(%-?)(%d+)%.(%d%d%d%d%d%d%d%d%d) s$")
    if not seconds then
        return nil
    end
    local factor = sign == "-" and -1 or 1
    return NSTime.new(factor * tonumber(seconds), factor * tonumber(nanoseconds))
end

-- What `hdp path --annotate` found out about the packet: "hdp: fate=lost; segment=client → server".
local function add_annotation(comment, pinfo, root)
    local tree = root:add(hdp, "HDP along the path")
    local fate = {}
    for key, value in (comment:sub(6) .. ";"):gmatch("([%w_]+)=(.-);") do
        if key == "fate" or key == "segment" then
            tree:add(f[key], value)
            tree:append_text(", " .. value)
            fate[#fate + 1] = value
        elseif key == "pair" then
            for sighting in value:gmatch("[^,%s][^,]*") do
                tree:add(f.pair, sighting)
            end
        elseif key == "path_delay" then
            local delay = span(value)
            if delay then
                tree:add(f.path_delay, delay)
            end
        elseif key == "altered" then
            tree:add(f.altered, value == "yes")
            tree:append_text(", altered")
        end
    end
    tree:set_generated()
    pinfo.cols.info:append("  [" .. table.concat(fate, " ") .. "]")
end

local after = Proto("hdp_after", "HDP after all others")

-- Most frames have neither, and pay for asking only.
function after.dissector(_, pinfo, root)
    if ipv6_nxt() then
        for _, nxt in ipairs({ ipv6_nxt() }) do
            if is_taken_by_ipv6(nxt.value) then
                claim_behind_ipv6(nxt, pinfo, root)
            end
        end
    end
    if frame_comment() then
        for _, comment in ipairs({ frame_comment() }) do
            if comment.value:sub(1, 5) == "hdp: " then
                add_annotation(comment.value, pinfo, root)
            end
        end
    end
end

register_postdissector(after)

-- Counts by protocol number: tshark -q -z hdp,proto, and Statistics → HDP -----------------------

local hdp_ip_proto = Field.new("hdp.ip_proto")
local hdp_claim = Field.new("hdp.claim")
local hdp_is_quote = Field.new("hdp.is_quote")

local function new_counts()
    return { packets = {}, quotes = {} }
end

-- A control counts beyond all numbers, as 256.
local function count(counts)
    local is_quote = hdp_is_quote() ~= nil
    local claims = { hdp_claim() }
    local found = { hdp_ip_proto() }
    for i, number in ipairs(found) do
        local key = claims[i].value == UDP_CLAIM and 256 or number.value
        -- A frame is a packet or an error that quotes one.
        local kind = is_quote and counts.quotes or counts.packets
        kind[key] = (kind[key] or 0) + 1
    end
end

local function report(counts)
    local lines = { "HDP by IP protocol number", "Number       Packets  ICMP quotes" }
    local packets, quotes = 0, 0
    for number = 0, 256 do
        local seen, quoted = counts.packets[number] or 0, counts.quotes[number] or 0
        if seen + quoted > 0 then
            local name = number == 256 and "UDP control" or tostring(number)
            lines[#lines + 1] = string.format("%-11s %8d %12d", name, seen, quoted)
        end
        packets, quotes = packets + seen, quotes + quoted
    end
    lines[#lines + 1] = string.format("%-11s %8d %12d", "all", packets, quotes)
    return table.concat(lines, "\n") .. "\n"
end

local function count_on_command_line()
    local counts = new_counts()
    local tap = Listener.new("frame", "hdp")
    function tap.packet()
        count(counts)
    end
    function tap.draw()
        io.write(report(counts))
    end
    function tap.reset()
        counts = new_counts()
    end
end

local function count_in_window()
    local counts = new_counts()
    local tap = Listener.new("frame", "hdp")
    local text = TextWindow.new("HDP by IP protocol number")
    text:set_atclose(function()
        tap:remove()
    end)
    function tap.packet()
        count(counts)
    end
    function tap.draw()
        text:set(report(counts))
    end
    function tap.reset()
        counts = new_counts()
    end
    retap_packets()
end

register_stat_cmd_arg("hdp,proto", count_on_command_line)
if gui_enabled() then
    -- MENU_STAT_GENERIC is shown nowhere; the group has had two names.
    local statistics = MENU_PACKET_STAT_UNSORTED or MENU_STAT_UNSORTED
    register_menu("HDP by IP Protocol Number", count_in_window, statistics)
end

-- Load --------------------------------------------------------------------------------------------

apply()
-- Before TCP, UDP and the others read what is not theirs. A setting of the user's own still wins.
set_preference("ip.try_heuristic_first", true)
set_preference("ipv6.try_heuristic_first", true)
