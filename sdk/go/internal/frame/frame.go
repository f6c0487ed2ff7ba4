// Package frame defines the numbers and layouts of the node protocol's frames.
//
// protocol/README.md defines their meaning. This package does no I/O.
package frame

import (
	"encoding/binary"
	"fmt"
)

// Protocol is the version of the node protocol that this package implements.
const Protocol = 1

// Kind is the kind of a frame.
type Kind byte

// Sent by the engine.
const (
	Hello Kind = iota + 1
	Deliver
	Cancel
	Done
	Document
	Failed
	Stop
	Credit
)

// Sent by the worker.
const (
	Ready Kind = iota + 64
	Broken
	Result
	EarlyReply
	Log
	Measurement
	Save
	Find
	Message
)

// Status is the outcome of a handler.
type Status byte

// The statuses of a Result.
const (
	Answer Status = iota
	None
	Error
	Cancelled
	TooLarge
)

// Level is the severity of a Log.
type Level byte

// The levels of a Log from a Go worker.
const (
	Debug Level = iota
	Info
	Warn
	Fault
)

const (
	// Unlimited is the limit of frames before HELLO.
	Unlimited = 1<<32 - 1
	// MaxLog is the maximum size of a Log; longer records are cut.
	MaxLog = 256 << 10
	// MaxOther is the maximum size of a Find or a Measurement.
	MaxOther = 1 << 20

	// HeaderSize is the number of bytes before a frame's body: size, kind, id.
	HeaderSize = 9
	// ResultHead is the number of bytes of a Result before its last part.
	ResultHead = HeaderSize + 18
	// LogHead is the number of bytes of a Log before its text.
	LogHead = HeaderSize + 9

	// Counted is the part of size before the body of a frame.
	Counted = 5
	// sizeField is the length of the field size, which size does not include.
	sizeField = HeaderSize - Counted
	// deliverHead is the number of bytes of a Deliver's body before its texts.
	deliverHead = 6
	// creditSize is the number of bytes of a Credit's body.
	creditSize = 12
)

// ProtocolError is a violation of the protocol.
type ProtocolError struct {
	What string
}

// Violationf formats a ProtocolError.
func Violationf(format string, values ...any) *ProtocolError {
	return &ProtocolError{What: fmt.Sprintf(format, values...)}
}

func (b *ProtocolError) Error() string {
	return b.What
}

// Append appends a frame whose body has no layout of its own.
func Append(out []byte, kind Kind, id uint32, body []byte) []byte {
	return append(appendHeader(out, kind, id, Counted+len(body)), body...)
}

// Begin appends the header of a frame; append the body and call End.
func Begin(out []byte, kind Kind, id uint32) []byte {
	return appendHeader(out, kind, id, 0)
}

// End writes the size of the frame that starts at start.
func End(out []byte, start int) []byte {
	binary.LittleEndian.PutUint32(out[start:], uint32(len(out)-start-sizeField))
	return out
}

// BeginResult appends a Result without its last part; append that and call End.
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

// SetWhole sets the flag of a batch that failed as a whole in the Result at the start of a buffer.
func SetWhole(result []byte) {
	result[HeaderSize+1] |= 2
}

// HasMore reports whether another Deliver of the same batch follows the one with this body.
func HasMore(deliver []byte) bool {
	return len(deliver) > 0 && deliver[0]&2 != 0
}

// AppendSize appends the last part of a TooLarge Result.
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

// Streams reports whether the answer of the Deliver with this body is a stream.
func Streams(deliver []byte) bool {
	return len(deliver) > 0 && deliver[0]&4 != 0
}

// ParseCredit splits the body of a Credit.
func ParseCredit(body []byte) (messages uint32, bytes uint64, err error) {
	if len(body) != creditSize {
		return 0, 0, Violationf("a CREDIT has %d bytes, not %d", len(body), creditSize)
	}
	return binary.LittleEndian.Uint32(body), binary.LittleEndian.Uint64(body[4:]), nil
}

// DeliverBody is the body of a Deliver without the workflow, which a worker does not need.
type DeliverBody struct {
	// Replied is whether the request already has a reply.
	Replied bool
	// Request is the id of the request.
	Request []byte
	// Metadata is JSON, or empty.
	Metadata []byte
	// Payload is an encoded google.protobuf.Any, or JSON.
	Payload []byte
}

// ParseDeliver splits the body of a Deliver.
func ParseDeliver(body []byte) (DeliverBody, error) {
	if len(body) < deliverHead {
		return DeliverBody{}, Violationf("it is too short")
	}
	middle := deliverHead + int(body[3])
	start := middle + int(binary.LittleEndian.Uint16(body[4:]))
	if start > len(body) {
		return DeliverBody{}, Violationf("its metadata has no end")
	}
	return DeliverBody{
		Replied:  body[0]&1 != 0,
		Request:  body[deliverHead:middle],
		Metadata: body[middle:start],
		Payload:  body[start:],
	}, nil
}

func appendHeader(out []byte, kind Kind, id uint32, size int) []byte {
	out = binary.LittleEndian.AppendUint32(out, uint32(size))
	return binary.LittleEndian.AppendUint32(append(out, byte(kind)), id)
}
