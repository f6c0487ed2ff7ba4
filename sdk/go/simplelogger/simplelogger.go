// Package simplelogger is a logger with four levels.
//
// The logger of a context writes to the node's log, with the current request.
package simplelogger

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/konstellation-io/krt/sdk/go/internal/standard"
)

// LogLevel is the severity of a record; a lower value is more severe.
type LogLevel int

// The levels.
const (
	LevelError LogLevel = iota
	LevelWarn
	LevelInfo
	LevelDebug
)

func (l LogLevel) String() string {
	names := [...]string{"ERROR", "WARN", "INFO", "DEBUG"}
	if l < LevelError || l > LevelDebug {
		return fmt.Sprintf("LogLevel(%d)", int(l))
	}
	return names[l]
}

// SimpleLoggerInterface is the interface of SimpleLogger.
type SimpleLoggerInterface interface {
	Debug(msg string)
	Info(msg string)
	Warn(msg string)
	Error(msg string)
	Debugf(format string, a ...interface{})
	Infof(format string, a ...interface{})
	Warnf(format string, a ...interface{})
	Errorf(format string, a ...interface{})
}

// Sink takes records.
type Sink interface {
	// Write takes one record.
	Write(level LogLevel, msg string)
}

// SimpleLogger sends records to its sink, unless they are less severe than its level.
type SimpleLogger struct {
	level LogLevel
	sink  Sink
}

var _ SimpleLoggerInterface = (*SimpleLogger)(nil)

// New returns a logger that writes to the node's log, or to standard output outside of a node.
func New(level LogLevel) *SimpleLogger {
	logger := NewWithSink(level, lines{os.Stdout})
	return &logger
}

// NewWithSink returns a logger that writes to a sink.
func NewWithSink(level LogLevel, sink Sink) SimpleLogger {
	return SimpleLogger{level: level, sink: sink}
}

// Debug logs details for debugging.
func (l *SimpleLogger) Debug(msg string) {
	l.log(LevelDebug, msg)
}

// Info logs normal events.
func (l *SimpleLogger) Info(msg string) {
	l.log(LevelInfo, msg)
}

// Warn logs possible problems.
func (l *SimpleLogger) Warn(msg string) {
	l.log(LevelWarn, msg)
}

// Error logs errors.
func (l *SimpleLogger) Error(msg string) {
	l.log(LevelError, msg)
}

// Debugf is Debug with a format.
func (l *SimpleLogger) Debugf(format string, a ...interface{}) {
	l.logf(LevelDebug, format, a)
}

// Infof is Info with a format.
func (l *SimpleLogger) Infof(format string, a ...interface{}) {
	l.logf(LevelInfo, format, a)
}

// Warnf is Warn with a format.
func (l *SimpleLogger) Warnf(format string, a ...interface{}) {
	l.logf(LevelWarn, format, a)
}

// Errorf is Error with a format.
func (l *SimpleLogger) Errorf(format string, a ...interface{}) {
	l.logf(LevelError, format, a)
}

func (l *SimpleLogger) log(level LogLevel, msg string) {
	if level <= l.level {
		l.sink.Write(level, msg)
	}
}

// logf formats a record only if it is logged.
func (l *SimpleLogger) logf(level LogLevel, format string, values []interface{}) {
	if level <= l.level {
		l.sink.Write(level, fmt.Sprintf(format, values...))
	}
}

// lines writes each record as a line, without an engine.
type lines struct {
	out io.Writer
}

func (l lines) Write(level LogLevel, msg string) {
	if standard.Log(int(level), msg) {
		return
	}
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	// There is no place to report an error to.
	_, _ = fmt.Fprintf(l.out, "%s %s %s\n", now, level, msg)
}
