"""Checks the tables of the campaign that examples/campaign.rs makes against its truth.

    check_campaign.py duckdb|pandas|spark|cluster CAMPAIGN TABLES LINES HDP

The questions are those of docs/campaigns.md, as they stand there. LINES is what --format jsonl wrote.
"""

import collections
import csv
import json
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
engine, campaign, tables, lines, program = sys.argv[1:]


def questions():
    """The three of docs/campaigns.md, whole: without their LIMIT."""
    text = open(f"{ROOT}/docs/campaigns.md").read()
    found = re.findall(r"```sql\n(-- [123]\. .*?)```", text, re.S)
    assert len(found) == 3, found
    return [re.sub(r"LIMIT \d+\s*$", "", query.strip()) for query in found]


def answers():
    """What the questions must find, from the planted truth alone."""
    with open(f"{campaign}/truth.csv") as file:
        rows = [row for row in csv.DictReader(file) if row["blocked"] == "true"]
    numbers, places, blocked = collections.Counter(), {}, set()
    for row in rows:
        numbers[int(row["protocol"])] += 1
        place = (row["lost_from"], row["lost_to"], int(row["asn"]))
        places.setdefault(place, []).append(row["id"])
        week, pair = row["id"].split("-")
        blocked.add((week, pair, int(row["protocol"])))
    changes = collections.Counter()
    for pair, protocol in {of[1:] for of in blocked}:
        before, now = (("w47", pair, protocol) in blocked, ("w48", pair, protocol) in blocked)
        if before != now:
            changes[protocol, now] += 1
    return [
        sorted(numbers.items()),
        sorted((*place, len(set(ids)), len(ids)) for place, ids in places.items()),
        sorted((*what, pairs) for what, pairs in changes.items()),
    ]


def compare(ask):
    """Asks the three questions."""
    for query, expected in zip(questions(), answers()):
        rows = [tuple(row) for row in ask(query)]
        if "keyword" in query:
            rows = [(protocol, paths) for protocol, _, paths in rows]
        assert expected and sorted(rows) == expected, (query, sorted(rows)[:5], expected[:5])
    print(f"{engine}: three questions answered as planted")


def sums():
    """What the lines of JSON have in all."""
    counts, paths, first = collections.Counter(), 0, {}
    with open(lines) as file:
        for line in file:
            found = json.loads(line)
            paths += 1
            first[found["id"]] = found["begins_ns"]
            for direction in found["directions"]:
                for number in direction["protocols"]:
                    counts["rows"] += 1
                    for name in ("packets", "delivered", "lost", "edge", "expired", "duplicates"):
                        counts[name] += number[name]
                    counts[number["verdict"]] += 1
    return paths, counts, first


def duckdb_():
    import duckdb

    db = duckdb.connect()
    for table in ("runs", "verdicts"):
        db.sql(f"CREATE VIEW {table} AS FROM '{tables}/{table}/**/*.parquet'")
    db.sql(f"CREATE VIEW networks AS FROM '{campaign}/networks.csv'")
    compare(lambda query: db.sql(query).fetchall())
    paths, counts, first = sums()
    for name in ("packets", "delivered", "lost", "edge", "expired", "duplicates"):
        of_table = db.sql(f"SELECT sum({name})::BIGINT FROM verdicts").fetchall()[0][0]
        assert of_table == counts[name], (name, of_table, counts[name])
    verdicts = dict(db.sql("SELECT verdict, count(*) FROM verdicts GROUP BY 1").fetchall())
    assert all(counts[verdict] == count for verdict, count in verdicts.items()), verdicts
    assert sum(verdicts.values()) == counts["rows"]
    assert db.sql("SELECT count(*), count(DISTINCT id) FROM runs").fetchall() == [(paths, paths)]
    assert dict(db.sql("SELECT id, begins_ns FROM runs").fetchall()) == first
    print(f"duckdb: {paths} paths, {counts['packets']} packets, as in the lines of JSON")


def pandas_():
    import pandas
    import pyarrow.parquet

    _, counts, first = sums()
    verdicts = pandas.read_parquet(f"{tables}/verdicts")
    assert len(verdicts) == counts["rows"] and verdicts["lost"].sum() == counts["lost"]
    begins = verdicts.drop_duplicates("id").set_index("id")["begins_ns"]
    assert begins.dtype == "int64" and begins.to_dict() == first
    exact = pyarrow.parquet.read_table(f"{tables}/runs").to_pylist()
    assert {row["id"]: row["begins_ns"] for row in exact} == first
    assert all(row["begins"].timestamp() * 10**6 == row["begins_ns"] // 1000 for row in exact)
    print("pandas: read without options, 64-bit times exact")


def spark_(master):
    from pyspark.sql import SparkSession

    output = tempfile.mkdtemp(prefix="hdp-spark-")
    job = [f"{ROOT}/examples/spark/campaign.py", f"{campaign}/manifest.jsonl", output, "--hdp", program]
    submit = ["spark-submit", "--master", master, "--conf", "spark.ui.enabled=false"]
    subprocess.run([*submit, *job, "--partitions", "8"], check=True, stderr=subprocess.DEVNULL)
    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    for name in ("runs", "verdicts"):
        ours = spark.read.parquet(f"{tables}/{name}")
        theirs = spark.read.parquet(f"{output}/{name}")
        assert ours.dtypes == theirs.dtypes, set(ours.dtypes) ^ set(theirs.dtypes)
        # Maps cannot be compared.
        ours, theirs = (of.withColumns({
            column: spark_text(column) for column, kind in of.dtypes if kind.startswith("map")
        }) for of in (ours, theirs))  # fmt: skip
        assert ours.count() == theirs.count()
        for one, other in ((ours, theirs), (theirs, ours)):
            more = one.exceptAll(other)
            assert more.isEmpty(), (name, more.count(), more.first())
        ours.unpersist()
        spark.read.parquet(f"{tables}/{name}").createOrReplaceTempView(name)
    spark.read.csv(f"{campaign}/networks.csv", header=True, inferSchema=True).createOrReplaceTempView("networks")
    compare(lambda query: spark.sql(query).collect())
    print(f"{master}: the tables of one machine")


def spark_text(column):
    from pyspark.sql import functions as f

    return f.array_sort(f.map_entries(column))


match engine:
    case "duckdb":
        duckdb_()
    case "pandas":
        pandas_()
    case "spark":
        spark_("local[2]")
    case "cluster":
        spark_("local-cluster[2,1,1024]")
