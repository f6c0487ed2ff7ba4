// Package kre replaces the runner in executables from the time of KRT v1: it connects to NATS, MongoDB and
// InfluxDB by itself, and its environment configures it. Input that such a runner could not read ends it.
package kre

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	influxdb2 "github.com/influxdata/influxdb-client-go"
	"github.com/influxdata/influxdb-client-go/api"
	"github.com/nats-io/nats.go"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
)

// Context is the handler's access to the runner.
type Context struct {
	Node       string
	runner     *runner
	request    *KreNatsMessage
	collection func(name string) *mongo.Collection
	points     api.WriteAPI
}

// Handler converts an encoded google.protobuf.Any to another.
type Handler func(ctx *Context, payload []byte) ([]byte, error)

type runner struct {
	ctx                  *Context
	handler              Handler
	conn                 *nats.Conn
	node, workflow       string
	version, output      string
	writer               string
	publish              func(subject string, data []byte) error
	toClient             func(request *KreNatsMessage) string
	isLast, reportsReply bool
}

// Log writes a line in simplelogger's format.
func Log(level, format string, args ...interface{}) {
	fmt.Printf("%s %s %s\n", time.Now().Format(time.RFC3339), level, fmt.Sprintf(format, args...))
}

func choke(format string, args ...interface{}) {
	Log("ERROR", format, args...)
	os.Exit(1)
}

func variable(name string) string {
	value, found := os.LookupEnv(name)
	if !found {
		choke("Error reading config: the '%s' env var is missing", name)
	}
	return value
}

// Start connects, and handles messages until it is stopped.
func Start(init func(*Context), handler Handler) {
	r := &runner{
		handler:  handler,
		workflow: variable("KRT_WORKFLOW_NAME"),
		version:  variable("KRT_VERSION"),
		node:     variable("KRT_NODE_NAME"),
		output:   variable("KRT_NATS_OUTPUT"),
		writer:   variable("KRT_NATS_MONGO_WRITER"),
	}
	for _, name := range []string{"KRT_VERSION_ID", "KRT_BASE_PATH", "KRT_HANDLER_PATH"} {
		variable(name)
	}
	conn, err := nats.Connect(variable("KRT_NATS_SERVER"))
	if err != nil {
		choke("Error connecting to NATS: %s", err)
	}
	r.conn = conn
	r.ctx = &Context{Node: r.node, runner: r}
	r.connectMongo(variable("KRT_MONGO_URI"))
	uri := variable("KRT_INFLUX_URI")
	if uri == "" {
		choke("Error connecting to InfluxDB: the URI is empty")
	}
	r.ctx.points = influxdb2.NewClient(uri, "").WriteAPI("", variable("KRT_RUNTIME_ID"))
	go func() {
		for err := range r.ctx.points.Errors() {
			choke("Error writing to InfluxDB: %s", err)
		}
	}()
	if init != nil {
		init(r.ctx)
	}
	Log("INFO", "Listening to '%s' subject...", variable("KRT_NATS_INPUT"))
	r.subscribe(variable("KRT_NATS_INPUT"))
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, syscall.SIGINT, syscall.SIGTERM)
	<-ends
	Log("INFO", "Shutdown signal received")
	conn.Close()
}

func (r *runner) connectMongo(uri string) {
	client, err := mongo.NewClient(options.Client().ApplyURI(uri))
	if err != nil {
		choke("Error connecting to MongoDB: %s", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := client.Connect(ctx); err != nil {
		choke("Error connecting to MongoDB: %s", err)
	}
	if err := client.Ping(ctx, nil); err != nil {
		choke("Error connecting to MongoDB: %s", err)
	}
	database := client.Database(variable("KRT_RUNTIME_ID") + "-data")
	r.ctx.collection = func(name string) *mongo.Collection { return database.Collection(name) }
}

// process handles one message. An unreadable one ends the runner.
func (r *runner) process(data []byte, reply string) {
	start := time.Now().UTC()
	request, err := decode(data)
	if err != nil {
		choke("Error parsing msg.data because is not a valid protobuf: %s", err)
	}
	if reply != "" {
		request.Reply = reply
	}
	if request.Reply == "" {
		choke("the reply subject was not found")
	}
	Log("INFO", "Received a message with final reply '%s'", request.Reply)
	r.ctx.request = request
	payload, err := r.handler(r.ctx, request.Payload)
	end := time.Now().UTC()
	if err != nil {
		r.fail(request, err)
		return
	}
	r.measure(request, start, end)
	if r.isLast && request.Replied {
		Log("INFO", "ignoring the last node response because the message was replied previously")
		return
	}
	if payload == nil {
		r.fail(request, fmt.Errorf("the handler result is not a valid protobuf: nil"))
		return
	}
	request.Payload = payload
	request.Tracking = append(request.Tracking, Tracking{r.node, start.Format(Layout), end.Format(Layout)})
	if r.isLast {
		r.send(r.toClient(request), request)
	} else {
		r.send(r.output, request)
	}
}

func (r *runner) fail(request *KreNatsMessage, err error) {
	Log("ERROR", "Error executing handler: %s", err)
	r.send(r.toClient(request), &KreNatsMessage{Error: fmt.Sprintf("error in '%s': %s", r.node, err)})
}

func (r *runner) send(subject string, message *KreNatsMessage) {
	data, err := message.encode()
	if err != nil {
		Log("ERROR", "Error preparing output msg: %s", err)
		return
	}
	if err := r.publish(subject, data); err != nil {
		choke("Error publishing output: %s", err)
	}
}

func (r *runner) measure(request *KreNatsMessage, start, end time.Time) {
	previous := request.Tracking[len(request.Tracking)-1]
	before, _ := time.Parse(Layout, previous.End)
	tags := map[string]string{"workflow": r.workflow, "version": r.version, "node": r.node}
	r.ctx.Measure("node_elapsed_time", tags, map[string]interface{}{
		"tracking_id": request.TrackingID,
		"node_from":   previous.NodeName,
		"elapsed_ms":  end.Sub(start).Seconds() * 1000,
		"waiting_ms":  start.Sub(before).Seconds() * 1000,
	})
	if r.isLast {
		first, _ := time.Parse(Layout, request.Tracking[0].Start)
		delete(tags, "node")
		r.ctx.Measure("workflow_elapsed_time", tags, map[string]interface{}{
			"tracking_id": request.TrackingID,
			"elapsed_ms":  end.Sub(first).Seconds() * 1000,
		})
	}
}

// Measure writes a point in the background.
func (c *Context) Measure(name string, tags map[string]string, fields map[string]interface{}) {
	point := influxdb2.NewPoint(name, tags, fields, time.Now())
	c.points.WritePoint(point)
	c.points.Flush()
}

// EarlyReply answers the client now.
func (c *Context) EarlyReply(payload []byte) error {
	if c.request.Replied {
		return fmt.Errorf("error the message was replied previously")
	}
	response := &KreNatsMessage{Payload: payload}
	if c.runner.reportsReply {
		response = &KreNatsMessage{
			TrackingID: c.request.TrackingID, Reply: c.request.Reply, Payload: payload, Replied: true,
		}
	}
	c.runner.send(c.runner.toClient(c.request), response)
	c.request.Replied = true
	return nil
}

// Save saves a document through the mongo-writer.
func (c *Context) Save(collection string, document interface{}) error {
	data, err := json.Marshal(map[string]interface{}{"coll": collection, "doc": document})
	if err != nil {
		return err
	}
	answer, err := c.runner.conn.Request(c.runner.writer, data, 5*time.Second)
	if err != nil {
		return err
	}
	var saved struct{ Success bool }
	if err := json.Unmarshal(answer.Data, &saved); err != nil || !saved.Success {
		return fmt.Errorf("not saved: %s", answer.Data)
	}
	return nil
}

// Find finds documents in MongoDB.
func (c *Context) Find(collection string, query map[string]interface{}, found interface{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	cursor, err := c.collection(collection).Find(ctx, query)
	if err != nil {
		return err
	}
	return cursor.All(ctx, found)
}
