package kre

import (
	"context"
	"path"
	"sync"

	"github.com/konstellation-io/krt/sdk/go/internal/frame"
	"github.com/konstellation-io/krt/sdk/go/internal/host"
	"github.com/konstellation-io/krt/sdk/go/simplelogger"
)

// ErrReplied is what EarlyReply fails with when the client was answered before.
var ErrReplied = host.ErrReplied

// HandlerContext gives user code its logger, shared values, stores, and the early ways out of a
// workflow.
//
// Values are shared by init and every call of the handler.
type HandlerContext struct {
	// Logger writes to the node's log, with the request that is handled.
	Logger *simplelogger.SimpleLogger
	// DB saves and finds documents.
	DB *Database
	// Measurement saves points of time series.
	Measurement *Measurements
	// Prediction saves predictions, for a classifier's figures.
	Prediction *Predictions

	parts parts
}

// parts are what a context is made of, in one piece of memory with it.
type parts struct {
	scope       host.Scope
	hello       *frame.Introduction
	values      *values
	logger      simplelogger.SimpleLogger
	database    Database
	measurement Measurements
	prediction  Predictions
}

func newContext(hello *frame.Introduction, scope host.Scope, values *values) *HandlerContext {
	ctx := &HandlerContext{}
	ctx.parts = parts{scope: scope, hello: hello, values: values}
	parts := &ctx.parts
	parts.logger = simplelogger.NewWithSink(levelOf(hello.LogLevel), &ctx.parts)
	parts.database = Database{scope: scope}
	parts.measurement = Measurements{parts: parts}
	parts.prediction = Predictions{parts: parts}
	ctx.Logger, ctx.DB = &parts.logger, &parts.database
	ctx.Measurement, ctx.Prediction = &parts.measurement, &parts.prediction
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

// Get returns the value that Set kept; nil, and a record that says so, if there is none.
func (c *HandlerContext) Get(key string) interface{} {
	value, kept := c.parts.values.get(key)
	if !kept {
		c.Logger.Infof("no value is kept for '%s', got nil", key)
	}
	return value
}

// GetString returns a text that Set kept; "" if there is none.
func (c *HandlerContext) GetString(key string) string {
	if value, is := c.Get(key).(string); is {
		return value
	}
	c.Logger.Infof("the value for '%s' is no string, got \"\"", key)
	return ""
}

// GetInt returns an int that Set kept; -1 if there is none.
func (c *HandlerContext) GetInt(key string) int {
	if value, is := c.Get(key).(int); is {
		return value
	}
	c.Logger.Infof("the value for '%s' is no int, got -1", key)
	return -1
}

// GetFloat returns a float64 that Set kept; -1 if there is none.
func (c *HandlerContext) GetFloat(key string) float64 {
	if value, is := c.Get(key).(float64); is {
		return value
	}
	c.Logger.Infof("the value for '%s' is no float64, got -1.0", key)
	return -1.0
}

// EarlyReply answers the client now; the workflow goes on with what the handler returns.
//
// It fails with ErrReplied if the client was answered before, and in init.
func (c *HandlerContext) EarlyReply(response Message) error {
	return c.parts.scope.Reply(response)
}

// Reply does what EarlyReply does, under its old name.
func (c *HandlerContext) Reply(response Message) error {
	return c.EarlyReply(response)
}

// SetEarlyExit makes what this handler returns the final answer; later nodes do not run.
func (c *HandlerContext) SetEarlyExit() {
	if err := c.parts.scope.Exit(); err != nil {
		c.Logger.Error(err.Error())
	}
}

// Context is cancelled once nobody waits for the request any more, so that long work can stop, and
// when the handler has returned. Return its error then.
func (c *HandlerContext) Context() context.Context {
	return c.parts.scope.Context()
}

// TraceHeaders returns the headers with which another service goes on with the request's trace:
// traceparent and, where there is one, tracestate (W3C trace context). There are none in init, and for a
// request that belongs to no trace.
func (c *HandlerContext) TraceHeaders() map[string]string {
	return c.parts.scope.TraceHeaders()
}

// Write takes a record of the logger.
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

// values are shared by all contexts of a process.
type values struct {
	lock sync.RWMutex
	kept map[string]interface{}
}

func newValues() *values {
	return &values{kept: make(map[string]interface{})}
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
