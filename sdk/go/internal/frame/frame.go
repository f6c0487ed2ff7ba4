// Package frame has the node protocol's frames: numbers and layouts.
//
// protocol/README.md says what each of them means. Nothing here does I/O.
package frame

import (
	"encoding/binary"
	"fmt"
)

// Protocol is the version of the node protocol that is spoken here.
const Protocol = 1

// Kind says what a frame is.
type Kind byte

// From the engine.
const (
	Hello Kind = iota + 1
	Deliver
	Cancel
	Done
	Document
	Failed
	Stop
)

// From the host.
const (
	Ready Kind = iota + 64
	Broken
	Result
	EarlyReply
	Log
	Measurement
	Save
	Find
)

// Status says how a handler ended.
type Status byte

// The statuses of a Result.
const (
	Answer Status = iota
	None
	Error
	Cancelled
	TooLarge
)

// Level says how serious a Log is.
type Level byte

// The levels of a Log that a host of Go sends.
const (
	Debug Level = iota
	Info
	Warn
	Fault
)

const (
	// Unlimited is the limit of frames until HELLO has said one.
	Unlimited = 1<<32 - 1
	// MaxLog is the largest size of a Log: longer records are cut.
	MaxLog = 256 << 10
	// MaxOther is the largest size of a Find or a Measurement.
	MaxOther = 1 << 20

	// HeaderSize counts the bytes before a frame's body: size, kind, id.
	HeaderSize = 9
	// ResultHead counts the bytes of a Result before its last part.
	ResultHead = HeaderSize + 18
	// LogHead counts the bytes of a Log before its text.
	LogHead = HeaderSize + 9

	// Counted is what size counts of a frame before its body.
	Counted = 5
	// sizeField is the field size itself, which it does not count.
	sizeField = HeaderSize - Counted
	// deliverHead counts the bytes of a Deliver's body before its texts.
	deliverHead = 6
)

// Breach is something that the protocol does not allow.
type Breach struct {
	What string
}

// Breachf describes a breach.
func Breachf(format string, values ...any) *Breach {
	return &Breach{What: fmt.Sprintf(format, values...)}
}

func (b *Breach) Error() string {
	return b.What
}

// Append appends a frame whose body has no layout of its own.
func Append(out []byte, kind Kind, id uint32, body []byte) []byte {
	return append(appendHeader(out, kind, id, Counted+len(body)), body...)
}

// Begin appends the header of a frame whose body follows; End closes it.
func Begin(out []byte, kind Kind, id uint32) []byte {
	return appendHeader(out, kind, id, 0)
}

// End writes the size of the frame that begins at start.
func End(out []byte, start int) []byte {
	binary.LittleEndian.PutUint32(out[start:], uint32(len(out)-start-sizeField))
	return out
}

// BeginResult appends what a Result has before its last part; End closes it.
func BeginResult(out []byte, id uint32, status Status, earlyExit bool, start, end int64) []byte {
	var flags byte
	if earlyExit {
		flags = 1
	}
	out = append(Begin(out, Result, id), byte(status), flags)
	out = binary.LittleEndian.AppendUint64(out, uint64(start))
	return binary.LittleEndian.AppendUint64(out, uint64(end))
}

// SetEarlyExit sets the flag in the Result at the start of a buffer.
func SetEarlyExit(result []byte) {
	result[HeaderSize+1] |= 1
}

// AppendSize appends the last part of a Result that is TooLarge.
func AppendSize(out []byte, size int) []byte {
	return binary.LittleEndian.AppendUint64(out, uint64(size))
}

// AppendLog appends a Log; time is in nanoseconds since the Unix epoch.
func AppendLog(out []byte, id uint32, level Level, time int64, text string) []byte {
	start := len(out)
	out = append(Begin(out, Log, id), byte(level))
	out = binary.LittleEndian.AppendUint64(out, uint64(time))
	return End(append(out, text...), start)
}

// ParseDeliver takes the body of a Deliver apart: whether the request was replied to, the metadata, and
// the payload. Its workflow and request id are passed over: a host needs nothing of them.
func ParseDeliver(body []byte) (replied bool, metadata, payload []byte, err error) {
	if len(body) < deliverHead {
		return false, nil, nil, Breachf("it is too short")
	}
	middle := deliverHead + int(body[3])
	start := middle + int(binary.LittleEndian.Uint16(body[4:]))
	if start > len(body) {
		return false, nil, nil, Breachf("its metadata has no end")
	}
	return body[0]&1 != 0, body[middle:start], body[start:], nil
}

func appendHeader(out []byte, kind Kind, id uint32, size int) []byte {
	out = binary.LittleEndian.AppendUint32(out, uint32(size))
	return binary.LittleEndian.AppendUint32(append(out, byte(kind)), id)
}
