-- What Wireshark offers to scripts, of which dissector.lua uses these. Lua 5.2 and 5.4 share no
-- standard library, so `make lint` checks against each.
std = "lua52"
max_line_length = 110
read_globals = {
    "ByteArray", "DissectorTable", "Field", "Listener", "NSTime", "Pref", "Proto", "ProtoExpert", "ProtoField",
    "TextWindow", "base", "expert", "MENU_PACKET_STAT_UNSORTED", "MENU_STAT_UNSORTED", "gui_enabled", "register_menu",
    "register_postdissector", "register_stat_cmd_arg", "retap_packets", "set_plugin_info", "set_preference",
}
