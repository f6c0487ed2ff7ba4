// Package enginetest is an engine for tests of a worker: it exchanges frames with the worker over a real
// socket.
package enginetest

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/konstellation-io/krt/sdk/go/internal/frame"
	"github.com/konstellation-io/krt/sdk/go/internal/worker"
)

// patience is the time limit for every expected event.
const patience = 20 * time.Second

// Now is the current time in tests.
var Now = time.Date(2024, 2, 29, 12, 30, 15, 250_000_000, time.UTC)

// Engine is the engine's end of a socket to one worker.
type Engine struct {
	t      testing.TB
	socket *net.UnixConn
	// Statuses receives the worker's exit status; 0 if Serve returned.
	Statuses chan int
	// Stderr is the worker's standard error.
	Stderr *Text
}

// Text is a writer that supports concurrent reads.
type Text struct {
	lock sync.Mutex
	text []byte
}

// Write appends data.
func (t *Text) Write(data []byte) (int, error) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.text = append(t.text, data...)
	return len(data), nil
}

func (t *Text) String() string {
	t.lock.Lock()
	defer t.lock.Unlock()
	return string(t.text)
}

// Hello returns the fields of HELLO; a test may change them.
func Hello() map[string]any {
	return map[string]any{
		"protocol": 1, "node": "etl", "version": "v1", "version_id": "v1-id", "runtime": "v1",
		"workflows": []string{"go"}, "base_path": "/package", "handler_path": "/package/bin/etl",
		"concurrency": 1, "max_frame": 1 << 20, "max_message": 1 << 19, "log_level": "DEBUG",
		"descriptors": "", "later": "a field of a later engine",
	}
}

// Start sends HELLO and serves in a goroutine.
func Start(t testing.TB, hello map[string]any, serve func(*worker.Worker)) *Engine {
	t.Helper()
	engine := Connect(t, serve)
	body, err := json.Marshal(hello)
	if err != nil {
		t.Fatal(err)
	}
	engine.Send(frame.Hello, 0, body)
	return engine
}

// Connect serves in a goroutine, before HELLO.
func Connect(t testing.TB, serve func(*worker.Worker)) *Engine {
	t.Helper()
	ours, theirs := pair(t)
	engine := &Engine{t: t, socket: ours, Statuses: make(chan int, 8), Stderr: &Text{}}
	world := worker.World{
		Stream: theirs,
		Stderr: engine.Stderr,
		Now:    func() time.Time { return Now },
		PID:    42,
		Exit: func(status int) {
			engine.Statuses <- status
			_ = theirs.Close()
			select {}
		},
	}
	go func() {
		met, err := worker.Meet(world)
		switch violation := (*frame.ProtocolError)(nil); {
		case err == worker.ErrGone:
			engine.Statuses <- 0
			return
		case err != nil:
			violation, _ = err.(*frame.ProtocolError)
			world.ProtocolError(violation)
		}
		serve(met)
		_ = theirs.Close()
		engine.Statuses <- 0
	}()
	t.Cleanup(func() { _ = ours.Close() })
	return engine
}

func pair(t testing.TB) (ours, theirs *net.UnixConn) {
	t.Helper()
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	open := func(descriptor int) *net.UnixConn {
		file := os.NewFile(uintptr(descriptor), "socket")
		defer file.Close()
		conn, err := net.FileConn(file)
		if err != nil {
			t.Fatal(err)
		}
		return conn.(*net.UnixConn)
	}
	return open(ends[0]), open(ends[1])
}

// Send writes a frame.
func (e *Engine) Send(kind frame.Kind, id uint32, body []byte) {
	e.t.Helper()
	e.Write(frame.Append(nil, kind, id, body))
}

// Write writes bytes.
func (e *Engine) Write(data []byte) {
	e.t.Helper()
	if _, err := e.socket.Write(data); err != nil {
		e.t.Fatal(err)
	}
}

// Deliver sends a DELIVER.
func (e *Engine) Deliver(id uint32, replied bool, message proto.Message) {
	e.t.Helper()
	e.Write(Delivery(e.t, id, replied, message))
}

// Delivery builds a DELIVER frame with a request id and metadata.
func Delivery(t testing.TB, id uint32, replied bool, message proto.Message) []byte {
	t.Helper()
	packed, err := anypb.New(message)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := proto.Marshal(packed)
	if err != nil {
		t.Fatal(err)
	}
	flags := byte(0)
	if replied {
		flags = 1
	}
	const request, metadata = "request-1", `{"a":"b"}`
	body := []byte{flags, 0, 0, byte(len(request)), byte(len(metadata)), 0}
	body = append(append(append(body, request...), metadata...), payload...)
	return frame.Append(nil, frame.Deliver, id, body)
}

// Close closes the engine's end.
func (e *Engine) Close() {
	_ = e.socket.Close()
}

// Frame is one frame from the worker.
type Frame struct {
	Kind frame.Kind
	ID   uint32
	Body []byte
}

// Next reads the next frame.
func (e *Engine) Next() Frame {
	e.t.Helper()
	if err := e.socket.SetReadDeadline(time.Now().Add(patience)); err != nil {
		e.t.Fatal(err)
	}
	var header [frame.HeaderSize]byte
	if _, err := io.ReadFull(e.socket, header[:]); err != nil {
		e.t.Fatalf("no frame of the worker: %v; stderr: %s", err, e.Stderr)
	}
	body := make([]byte, binary.LittleEndian.Uint32(header[:])-frame.Counted)
	if _, err := io.ReadFull(e.socket, body); err != nil {
		e.t.Fatalf("a frame of the worker is cut short: %v", err)
	}
	return Frame{Kind: frame.Kind(header[4]), ID: binary.LittleEndian.Uint32(header[5:]), Body: body}
}

// Await reads the next frame, which must have the given kind.
func (e *Engine) Await(kind frame.Kind) Frame {
	e.t.Helper()
	next := e.Next()
	if next.Kind != kind {
		e.t.Fatalf("a frame of kind %d came, not %d: %q", next.Kind, kind, next.Body)
	}
	return next
}

// Ready reads READY.
func (e *Engine) Ready() {
	e.t.Helper()
	e.Await(frame.Ready)
}

// Result is a parsed RESULT.
type Result struct {
	ID        uint32
	Status    frame.Status
	EarlyExit bool
	// Whole is whether the batch failed as a whole.
	Whole bool
	Last  []byte
}

// Result reads a RESULT.
func (e *Engine) Result() Result {
	e.t.Helper()
	return ParseResult(e.Await(frame.Result))
}

// ParseResult parses a RESULT.
func ParseResult(from Frame) Result {
	return Result{
		ID:        from.ID,
		Status:    frame.Status(from.Body[0]),
		EarlyExit: from.Body[1]&1 != 0,
		Whole:     from.Body[1]&2 != 0,
		Last:      from.Body[frame.ResultHead-frame.HeaderSize:],
	}
}

// Unpack decodes an Any.
func Unpack(t testing.TB, encoded []byte, into proto.Message) {
	t.Helper()
	packed := &anypb.Any{}
	if err := proto.Unmarshal(encoded, packed); err != nil {
		t.Fatal(err)
	}
	if err := packed.UnmarshalTo(into); err != nil {
		t.Fatal(err)
	}
}

// Log reads a LOG: its level, its id and its text.
func (e *Engine) Log() string {
	e.t.Helper()
	from := e.Await(frame.Log)
	text := from.Body[frame.LogHead-frame.HeaderSize:]
	return fmt.Sprintf("%d %d %s", from.Body[0], from.ID, text)
}

// End waits for the end of a worker that sends no more frames.
func (e *Engine) End() int {
	e.t.Helper()
	status := e.Status()
	rest, err := io.ReadAll(e.socket)
	if err != nil && !errors.Is(err, net.ErrClosed) || len(rest) > 0 {
		e.t.Fatalf("the worker ended with status %d after %q: %v; stderr: %s", status, rest, err, e.Stderr)
	}
	return status
}

// Status waits for the end of the worker.
func (e *Engine) Status() int {
	e.t.Helper()
	select {
	case status := <-e.Statuses:
		return status
	case <-time.After(patience):
		e.t.Fatal("the worker does not end")
		return -1
	}
}
