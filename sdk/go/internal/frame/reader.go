package frame

import (
	"encoding/binary"
	"io"
)

// bufferSize is the number of bytes per read, except for the rest of a large frame.
const bufferSize = 64 << 10

// Frame is one frame from the engine.
type Frame struct {
	Kind Kind
	ID   uint32
	// Body is valid until the next Fill, unless Owned is set: then it has no other user.
	Body  []byte
	Owned bool
}

// Reader splits the engine's byte stream into frames.
//
// The body of a frame larger than the buffer is read into its own memory.
type Reader struct {
	// Limit is the maximum size of a frame.
	Limit uint32

	buffer     []byte
	start, end int
	large      []byte
	filled     int
	header     Frame
}

// NewReader returns a reader with an empty buffer.
func NewReader() *Reader {
	return &Reader{Limit: Unlimited, buffer: make([]byte, bufferSize)}
}

// Fill reads once. At the end of the stream the error is io.EOF.
func (r *Reader) Fill(read func([]byte) (int, error)) error {
	if r.large != nil {
		count, err := read(r.large[r.filled:])
		r.filled += count
		return ended(count, err)
	}
	if r.start > 0 {
		r.end = copy(r.buffer, r.buffer[r.start:r.end])
		r.start = 0
	}
	count, err := read(r.buffer[r.end:])
	r.end += count
	return ended(count, err)
}

// FillLeast is like Fill, but reads nothing after the current frame.
func (r *Reader) FillLeast(read func([]byte) (int, error)) error {
	return r.Fill(func(room []byte) (int, error) {
		if missing := r.missing(); r.large == nil && missing < len(room) {
			room = room[:missing]
		}
		return read(room)
	})
}

// Next returns the next complete frame, if there is one.
func (r *Reader) Next() (Frame, bool, error) {
	if r.large != nil {
		return r.nextLarge()
	}
	held := r.buffer[r.start:r.end]
	if len(held) < HeaderSize {
		return Frame{}, false, nil
	}
	size := binary.LittleEndian.Uint32(held)
	frame := Frame{Kind: Kind(held[4]), ID: binary.LittleEndian.Uint32(held[5:])}
	if err := r.check(size, frame.Kind); err != nil {
		return Frame{}, false, err
	}
	whole := sizeField + int(size)
	if whole > len(r.buffer) {
		r.header, r.large = frame, make([]byte, whole-HeaderSize)
		r.filled = copy(r.large, held[HeaderSize:])
		r.start, r.end = 0, 0
		return Frame{}, false, nil
	}
	if whole > len(held) {
		return Frame{}, false, nil
	}
	frame.Body = held[HeaderSize:whole]
	r.start += whole
	return frame, true, nil
}

func (r *Reader) nextLarge() (Frame, bool, error) {
	if r.filled < len(r.large) {
		return Frame{}, false, nil
	}
	frame := r.header
	frame.Body, frame.Owned = r.large, true
	r.large = nil
	return frame, true, nil
}

// missing returns the minimum number of bytes missing from the next frame.
func (r *Reader) missing() int {
	held := r.buffer[r.start:r.end]
	if len(held) < HeaderSize {
		return HeaderSize - len(held)
	}
	return sizeField + int(binary.LittleEndian.Uint32(held)) - len(held)
}

func (r *Reader) check(size uint32, kind Kind) error {
	switch {
	case size < Counted:
		return Violationf("a frame says that its size is %d, less than %d", size, Counted)
	case size > r.Limit:
		return Violationf("a frame has %d bytes, more than the limit of %d", size, r.Limit)
	case kind < Hello || kind > Credit:
		return Violationf("no frame of the engine's has the kind %d", kind)
	}
	return nil
}

func ended(count int, err error) error {
	if err == nil && count == 0 {
		return io.EOF
	}
	if count > 0 {
		return nil
	}
	return err
}
