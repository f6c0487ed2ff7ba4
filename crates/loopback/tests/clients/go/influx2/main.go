// Command influx2 writes to InfluxDB like KRT v1's runners, with version 2 of the client. The argument is the URL.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	influxdb "github.com/influxdata/influxdb-client-go/v2"
)

func main() {
	// The token is in the URL's path; this argument is empty in KRT v1's runners.
	client := influxdb.NewClientWithOptions(os.Args[1], "", influxdb.DefaultOptions().SetUseGZip(true))
	writer := client.WriteAPI("", "shop")
	for number := 0; number < 120; number++ {
		point := influxdb.NewPointWithMeasurement("many").AddField("number", number).AddTag("kind", "a, b=c")
		writer.WritePoint(point.SetTime(time.Unix(1700000000, int64(number)*1e6)))
	}
	writer.Flush()
	point := influxdb.NewPointWithMeasurement("one, two").AddField("text", "say \"a\\b\", é").AddField("truth", true).
		AddField("half", 0.5).AddTag("version", "shop-v1").SetTime(time.Unix(1709209815, 250000000))
	blocking := client.WriteAPIBlocking("", "shop")
	if err := blocking.WritePoint(context.Background(), point); err != nil {
		log.Fatal(err)
	}
	for record, part := range map[string]string{"many": "missing fields", "many a=1\nmany a=b": "partial write"} {
		err := blocking.WriteRecord(context.Background(), record)
		if err == nil || !strings.Contains(err.Error(), part) {
			log.Fatalf("%q: %v", record, err)
		}
	}
	client.Close()
	fmt.Println("influxdb-client-go 2")
}
