"""Judges a folder of captures on a Spark cluster, and writes the tables of `hdp campaign -o`.

    spark-submit campaign.py CAPTURES OUTPUT [--hdp /usr/bin/hdp] [--partitions N]

CAPTURES has a folder for each path, with a capture for each point, in path order by their names unless
--order auto puts them in order; or it is a manifest.jsonl, which says all of that itself. It has to be where
every worker sees it: a file system that all share, or a bucket that all have mounted. OUTPUT is
whatever Spark writes to. Each worker needs hdp, and nothing else of it: the lines of the manifest go through
`hdp campaign -`, as they would under xargs.
"""

import argparse
import json
import os
import shlex

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

POINT = "name STRING, source STRING, frames BIGINT, hdp BIGINT, capture_drops BIGINT, first_ns BIGINT, last_ns BIGINT"
RULE = "witness STRING, rule STRING, hook STRING, count BIGINT"
LOST = f"`from` STRING, `to` STRING, count BIGINT, witness ARRAY<STRUCT<{RULE}>>, last_hop STRUCT<hop INT, address STRING>"
COUNTS = "packets delivered lost edge late ambiguous expired unheard altered duplicates reordered".split()
DELAYS = "min p50 p90 p99 max".split()
PROTOCOL = f"""protocol INT, keyword STRING, carrier STRING, verdict STRING, grade STRING,
    {", ".join(f"{count} BIGINT" for count in COUNTS)}, loss_interval ARRAY<DOUBLE>, more_packets BIGINT,
    lost_at ARRAY<STRUCT<{LOST}>>, refused ARRAY<STRUCT<errno INT, name STRING, count BIGINT>>,
    icmp ARRAY<STRUCT<`from` STRING, type INT, code INT, meaning STRING, answered BIGINT>>,
    delay_ns STRUCT<{", ".join(f"{delay} BIGINT" for delay in DELAYS)}, reference STRING>, reasons ARRAY<STRING>"""
DIRECTION = f"`from` STRING, `to` STRING, protocols ARRAY<STRUCT<{PROTOCOL}>>"
LINE = f"""id STRING, tags MAP<STRING, STRING>, arguments ARRAY<STRING>, begins_ns BIGINT, error STRING,
    generator STRING, schema_version INT, ruleset INT, points ARRAY<STRUCT<{POINT}>>,
    inputs ARRAY<STRUCT<source STRING, bytes BIGINT, sha256 STRING>>, warnings ARRAY<STRING>,
    directions ARRAY<STRUCT<{DIRECTION}>>"""


def manifest(captures):
    """The lines of a manifest; a folder of folders makes one."""
    if os.path.isfile(captures):
        with open(captures) as lines:
            return [line for line in lines if line.strip()]
    paths = sorted(entry for entry in os.scandir(captures) if entry.is_dir())
    return [
        json.dumps({"id": path.name, "points": sorted(file.path for file in os.scandir(path))})
        for path in paths
    ]


def at_most(items, count):
    """The first of the items that has the largest count, or null."""
    most = f"array_max(transform({items}, one -> one.{count}))"
    return f"try_element_at(filter({items}, one -> one.{count} = {most}), 1)"


def micros(ns):
    return f"timestamp_micros({ns} div 1000)"


def partitioned(table):
    """With the date that hdp gives a row, which is that of 1970 where nothing tells it."""
    day = "coalesce(date_from_unix_date(CAST(begins_ns div 86400000000000 AS INT)), DATE '1970-01-01')"
    return table.withColumn("date", f.expr(day))


def runs(found):
    everything = "flatten(transform(directions, one -> one.protocols))"
    total = lambda count: f"""CASE WHEN error IS NULL THEN
        aggregate({everything}, 0L, (sum, one) -> sum + one.{count}) END AS {count}"""
    ends = "array_max(transform(points, one -> one.last_ns))"
    # What a path that could not be judged lacks, hdp says as it says it of all.
    lists = [f"coalesce({name}, array()) AS {name}" for name in ("points", "inputs", "warnings")]
    return partitioned(
        found.selectExpr(
            "id", "coalesce(tags, map()) AS tags", "coalesce(arguments, array()) AS arguments",
            "generator", "schema_version", "ruleset", "begins_ns", f"{micros('begins_ns')} AS begins",
            f"{ends} AS ends_ns", f"{micros(ends)} AS ends", total("packets"), total("lost"), *lists, "error",
        )
    )  # fmt: skip


def verdicts(found):
    rows = found.selectExpr("id", "begins_ns", "inline(directions)")
    rows = rows.selectExpr("id", "begins_ns", "`from`", "`to`", "inline(protocols)")
    answered = "aggregate(icmp, 0L, (sum, one) -> sum + one.answered)"
    refusals = "aggregate(refused, 0L, (sum, one) -> sum + one.count)"
    rows = rows.selectExpr(
        "*", f"{at_most('lost_at', 'count')} AS worst", f"{answered} AS icmp_answered",
        f"{refusals} AS refusals", "try_element_at(refused, 1) AS refusal",
        f"{at_most('filter(icmp, one -> one.answered > 0)', 'answered')} AS answer",
    ).selectExpr("*", f"{at_most('worst.witness', 'count')} AS taken")  # fmt: skip
    return partitioned(
        rows.selectExpr(
            "id", "begins_ns", f"{micros('begins_ns')} AS begins", "`from` AS from_point", "`to` AS to_point",
            "protocol", "keyword", "carrier", "verdict", "grade", *COUNTS,
            "loss_interval[0] AS loss_interval_low", "loss_interval[1] AS loss_interval_high",
            "worst.`from` AS lost_from", "worst.`to` AS lost_to", "worst.count AS lost_there",
            "worst.last_hop.hop AS last_hop", "worst.last_hop.address AS last_hop_address",
            "taken.witness AS witness", "taken.rule AS witness_rule", "taken.hook AS witness_hook",
            "answer.`from` AS icmp_from", "answer.type AS icmp_type", "answer.code AS icmp_code",
            "answer.meaning AS icmp_meaning", "icmp_answered",
            "refusals AS refused", "refusal.errno AS errno", "refusal.name AS errno_name",
            *[f"delay_ns.{delay} AS delay_{delay}_ns" for delay in DELAYS],
            "delay_ns.reference AS delay_reference", "more_packets",
            """transform(lost_at, one -> named_struct(
                'from_point', one.`from`, 'to_point', one.`to`, 'count', one.count)) AS lost_at""",
            "reasons",
        )
    )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captures")
    parser.add_argument("output")
    parser.add_argument("--hdp", default="hdp", help="the program, as the workers find it")
    parser.add_argument("--partitions", type=int, help="tasks; Spark's default parallelism if not given")
    given = parser.parse_args()

    spark = SparkSession.builder.appName("hdp campaign").getOrCreate()
    paths = spark.sparkContext.parallelize(manifest(given.captures), given.partitions)
    # One job a task: Spark has a task for each core.
    lines = paths.pipe(shlex.join([given.hdp, "campaign", "-", "--format", "jsonl", "--jobs", "1"]), checkCode=True)
    found = spark.read.schema(LINE).json(lines).cache()
    for name, table in (("runs", runs(found)), ("verdicts", verdicts(found))):
        table.write.mode("overwrite").partitionBy("date").parquet(f"{given.output}/{name}")
    spark.stop()


if __name__ == "__main__":
    main()
