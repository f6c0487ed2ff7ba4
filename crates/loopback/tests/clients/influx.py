"""Writes to InfluxDB like KRT v1 code, with influxdb_client. The argument is the URL."""

import sys

import influxdb_client
from influxdb_client import InfluxDBClient, Point, WriteOptions, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException


def main(url):
    # The token is in the URL's path; this argument is empty in KRT v1's runners.
    client = InfluxDBClient(url=url, token="", org="", enable_gzip=True)
    assert client.health().status == "pass"
    batches = client.write_api(write_options=WriteOptions(batch_size=50, flush_interval=100))
    for number in range(120):
        point = Point("many").field("number", number).tag("kind", "a, b=c")
        batches.write("shop", "", point.time(1_700_000_000_000 + number, WritePrecision.MS))
    # Writes pending points; this version has no other method for it.
    batches.__del__()
    point = Point("one, two").field("text", 'say "a\\b", é').field("truth", True).field("half", 0.5)
    # A number, since this version's conversion of a datetime may be a microsecond off.
    time = 1_709_209_815_250_000
    writer = client.write_api(write_options=SYNCHRONOUS)
    writer.write("shop", "", point.tag("version", "shop-v1").time(time, WritePrecision.US))
    for record, part in [("many", "missing fields"), ("many a=1\nmany a=b", "partial write")]:
        try:
            writer.write("shop", "", record)
        except ApiException as error:
            assert error.status == 400 and part in error.body, error
        else:
            raise AssertionError(f"{record} is refused")
    print(f"influxdb_client {influxdb_client.__version__}")


main(*sys.argv[1:])
