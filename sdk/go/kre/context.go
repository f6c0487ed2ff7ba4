package kre

import (
	"context"
	"path"
	"sync"
	"time"

	"github.com/konstellation-io/krt/sdk/go/internal/frame"
	"github.com/konstellation-io/krt/sdk/go/internal/worker"
	"github.com/konstellation-io/krt/sdk/go/simplelogger"
)

// ErrReplied is the error of EarlyReply if the client already has an answer.
var ErrReplied = worker.ErrReplied

// HandlerContext gives user code a logger, shared values, stores, early replies and early exit.
//
// init and all calls of the handler share its values.
type HandlerContext struct {
	// Logger writes to the node's log, with the current request.
	Logger *simplelogger.SimpleLogger
	// DB saves and finds documents.
	DB *Database
	// Measurement saves points of time series.
	Measurement *Measurements
	// Prediction saves predictions for the metrics of a classifier.
	Prediction *Predictions
	// Metrics is the old name of Prediction.
	//
	// Deprecated: use Prediction.
	Metrics *Metrics

	parts parts
}

// parts are the fields of a context, allocated together with it.
type parts struct {
	scope       worker.Scope
	hello       *frame.Introduction
	values      *values
	logger      simplelogger.SimpleLogger
	database    Database
	measurement Measurements
	prediction  Predictions
	metrics     Metrics
}

func newContext(hello *frame.Introduction, scope worker.Scope, values *values) *HandlerContext {
	ctx := &HandlerContext{}
	ctx.parts = parts{scope: scope, hello: hello, values: values}
	parts := &ctx.parts
	parts.logger = simplelogger.NewWithSink(levelOf(hello.LogLevel), &ctx.parts)
	parts.database = Database{scope: scope}
	parts.measurement = Measurements{parts: parts}
	parts.prediction = Predictions{parts: parts}
	parts.metrics = Metrics{parts: parts}
	ctx.Logger, ctx.DB = &parts.logger, &parts.database
	ctx.Measurement, ctx.Prediction = &parts.measurement, &parts.prediction
	ctx.Metrics = &parts.metrics
	return ctx
}

// Path returns the absolute path of a file of the package.
func (c *HandlerContext) Path(relative string) string {
	return path.Join(c.parts.hello.BasePath, relative)
}

// Set keeps a value for every later call of the handler in this process.
func (c *HandlerContext) Set(key string, value interface{}) {
	c.parts.values.set(key, value)
}

// Get returns the value that Set kept. If there is none, it returns nil and logs it.
func (c *HandlerContext) Get(key string) interface{} {
	value, kept := c.parts.values.get(key)
	if !kept {
		c.Logger.Infof("no value is kept for '%s', got nil", key)
	}
	return value
}

// GetString returns the string that Set kept; "" if there is none.
func (c *HandlerContext) GetString(key string) string {
	if value, is := c.Get(key).(string); is {
		return value
	}
	c.Logger.Infof("the value for '%s' is no string, got \"\"", key)
	return ""
}

// GetInt returns the int that Set kept; -1 if there is none.
func (c *HandlerContext) GetInt(key string) int {
	if value, is := c.Get(key).(int); is {
		return value
	}
	c.Logger.Infof("the value for '%s' is no int, got -1", key)
	return -1
}

// GetFloat returns the float64 that Set kept; -1 if there is none.
func (c *HandlerContext) GetFloat(key string) float64 {
	if value, is := c.Get(key).(float64); is {
		return value
	}
	c.Logger.Infof("the value for '%s' is no float64, got -1.0", key)
	return -1.0
}

// EarlyReply answers the client now; the workflow continues with the return value of the handler.
//
// It fails with ErrReplied in init, and if the client already has an answer.
func (c *HandlerContext) EarlyReply(response Message) error {
	return c.parts.scope.Reply(response)
}

// Send sends a message of the answer now; the answer goes on. The RPC must answer with a stream: `returns (stream …)` in
// the .proto. What the handler returns is the last message; nil ends the stream without one.
//
// It waits while the client is slow, and fails with context.Canceled once the client has left: return that error.
// Messages after an early reply are dropped.
func (c *HandlerContext) Send(message Message) error {
	return c.parts.scope.Send(message)
}

// Reply is the old name of EarlyReply.
func (c *HandlerContext) Reply(response Message) error {
	return c.EarlyReply(response)
}

// SetEarlyExit makes the return value of this handler the final answer; later nodes do not run.
func (c *HandlerContext) SetEarlyExit() {
	if err := c.parts.scope.Exit(); err != nil {
		c.Logger.Error(err.Error())
	}
}

// Context is cancelled once the client gives up on the request, so that long work can stop, and when the
// handler returns. Return its error then.
func (c *HandlerContext) Context() context.Context {
	return c.parts.scope.Context()
}

// RequestID returns the id of the request, as in logs, measurements and the list of requests. It is "" in init.
func (c *HandlerContext) RequestID() string {
	return c.parts.scope.RequestID()
}

// Deadline returns the time left until the client stops waiting, 0 if none is left. It returns false if no client
// waits: in init, after an early reply, and if krt does the work again after an engine died.
func (c *HandlerContext) Deadline() (time.Duration, bool) {
	return c.parts.scope.Deadline()
}

// Metadata returns what the client sent as gRPC metadata or HTTP headers, of the names that krt.yml lists. It is empty
// in init.
func (c *HandlerContext) Metadata() Metadata {
	return Metadata{values: c.parts.scope.Metadata()}
}

// TraceHeaders returns the headers that continue the request's trace in another service: traceparent and, if
// present, tracestate (W3C trace context). The result is empty in init and for a request without a trace.
func (c *HandlerContext) TraceHeaders() map[string]string {
	return c.parts.scope.TraceHeaders()
}

// Write sends a record of the logger.
func (p *parts) Write(level simplelogger.LogLevel, text string) {
	p.scope.Log(frameLevels[level], text)
}

var frameLevels = map[simplelogger.LogLevel]frame.Level{
	simplelogger.LevelDebug: frame.Debug,
	simplelogger.LevelInfo:  frame.Info,
	simplelogger.LevelWarn:  frame.Warn,
	simplelogger.LevelError: frame.Fault,
}

func levelOf(name string) simplelogger.LogLevel {
	switch name {
	case "DEBUG":
		return simplelogger.LevelDebug
	case "WARN":
		return simplelogger.LevelWarn
	case "ERROR":
		return simplelogger.LevelError
	default:
		return simplelogger.LevelInfo
	}
}

// values is shared by all contexts of a process.
type values struct {
	lock sync.RWMutex
	kept map[string]interface{}
	// old holds the used old names.
	old map[string]bool
}

func newValues() *values {
	return &values{kept: make(map[string]interface{}), old: make(map[string]bool)}
}

func (v *values) set(key string, value interface{}) {
	v.lock.Lock()
	defer v.lock.Unlock()
	v.kept[key] = value
}

func (v *values) get(key string) (interface{}, bool) {
	v.lock.RLock()
	defer v.lock.RUnlock()
	value, kept := v.kept[key]
	return value, kept
}

// isFirst records the use of an old name, and returns whether it is the first.
func (v *values) isFirst(old string) bool {
	v.lock.Lock()
	defer v.lock.Unlock()
	first := !v.old[old]
	v.old[old] = true
	return first
}
