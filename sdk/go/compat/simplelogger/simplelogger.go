// Package simplelogger is krt's logger under the path that nodes of KRT v1 import.
package simplelogger

import sdk "github.com/konstellation-io/krt/sdk/go/simplelogger"

type (
	// LogLevel is the SDK's.
	LogLevel = sdk.LogLevel
	// SimpleLogger is the SDK's.
	SimpleLogger = sdk.SimpleLogger
	// SimpleLoggerInterface is the SDK's.
	SimpleLoggerInterface = sdk.SimpleLoggerInterface
)

const (
	// LevelError is the SDK's.
	LevelError = sdk.LevelError
	// LevelWarn is the SDK's.
	LevelWarn = sdk.LevelWarn
	// LevelInfo is the SDK's.
	LevelInfo = sdk.LevelInfo
	// LevelDebug is the SDK's.
	LevelDebug = sdk.LevelDebug
)

// New is the SDK's.
func New(level LogLevel) *SimpleLogger {
	return sdk.New(level)
}
