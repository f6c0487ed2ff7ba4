// Package standard connects loggers outside of a context to the engine, once the node has one.
package standard

import "sync/atomic"

// Write takes a record. The level is one of package simplelogger.
type Write func(level int, text string)

var current atomic.Pointer[Write]

// Connect sends all later records to write.
func Connect(write Write) {
	current.Store(&write)
}

// Log sends a record to the engine, and returns false if there is none.
func Log(level int, text string) bool {
	write := current.Load()
	if write == nil {
		return false
	}
	(*write)(level, text)
	return true
}
