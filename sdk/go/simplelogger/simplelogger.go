// Package simplelogger is a logger with four levels.
//
// The one that a node's context has writes to the node's log, with the request that is handled.
package simplelogger

import (
	"fmt"
	"io"
	"os"
	"time"
)

// LogLevel says how serious a record is; a lower one is more serious.
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

// SimpleLoggerInterface is what a SimpleLogger can do.
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

// SimpleLogger hands records on to its sink, unless they are less serious than its level.
type SimpleLogger struct {
	level LogLevel
	sink  Sink
}

var _ SimpleLoggerInterface = (*SimpleLogger)(nil)

// New makes a logger that writes lines to standard output.
func New(level LogLevel) *SimpleLogger {
	logger := NewWithSink(level, lines{os.Stdout})
	return &logger
}

// NewWithSink makes a logger that hands its records to a sink.
func NewWithSink(level LogLevel, sink Sink) SimpleLogger {
	return SimpleLogger{level: level, sink: sink}
}

// Debug logs what helps to find an error.
func (l *SimpleLogger) Debug(msg string) {
	l.log(LevelDebug, msg)
}

// Info logs what happens in the ordinary course.
func (l *SimpleLogger) Info(msg string) {
	l.log(LevelInfo, msg)
}

// Warn logs what may need a look.
func (l *SimpleLogger) Warn(msg string) {
	l.log(LevelWarn, msg)
}

// Error logs what went wrong.
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

// logf formats nothing that is not logged.
func (l *SimpleLogger) logf(level LogLevel, format string, values []interface{}) {
	if level <= l.level {
		l.sink.Write(level, fmt.Sprintf(format, values...))
	}
}

// lines writes a line for each record.
type lines struct {
	out io.Writer
}

func (l lines) Write(level LogLevel, msg string) {
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	// Nobody is left to tell of an error.
	_, _ = fmt.Fprintf(l.out, "%s %s %s\n", now, level, msg)
}
