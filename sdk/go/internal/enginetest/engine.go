// Package enginetest is an engine for tests of a host: it writes frames as the engine does, over a
// real socket, and reads what the host answers.
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
	"github.com/konstellation-io/krt/sdk/go/internal/host"
)

// patience is how long anything may take that is expected to happen.
const patience = 20 * time.Second

// Now is the time in tests.
var Now = time.Date(2024, 2, 29, 12, 30, 15, 250_000_000, time.UTC)

// Engine is the engine's end of a socket, with the host that serves the other end.
type Engine struct {
	t      testing.TB
	socket *net.UnixConn
	// Statuses has the status that the host exited with; 0 too if Serve returned.
	Statuses chan int
	// Stderr is what the host wrote there.
	Stderr *Text
}

// Text is a writer that may be read meanwhile.
type Text struct {
	lock sync.Mutex
	text []byte
}

// Write appends.
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

// Hello is what an engine says first; a test may change it.
func Hello() map[string]any {
	return map[string]any{
		"protocol": 1, "node": "etl", "version": "v1", "version_id": "v1-id", "runtime": "v1",
		"workflows": []string{"go"}, "base_path": "/package", "handler_path": "/package/bin/etl",
		"concurrency": 1, "max_frame": 1 << 20, "max_message": 1 << 19, "log_level": "DEBUG",
		"descriptors": "", "later": "a field of a later engine",
	}
}

// Start says hello and serves in a goroutine.
func Start(t testing.TB, hello map[string]any, serve func(*host.Host)) *Engine {
	t.Helper()
	engine := Connect(t, serve)
	body, err := json.Marshal(hello)
	if err != nil {
		t.Fatal(err)
	}
	engine.Send(frame.Hello, 0, body)
	return engine
}

// Connect serves in a goroutine; nothing has been said yet.
func Connect(t testing.TB, serve func(*host.Host)) *Engine {
	t.Helper()
	ours, theirs := pair(t)
	engine := &Engine{t: t, socket: ours, Statuses: make(chan int, 8), Stderr: &Text{}}
	world := host.World{
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
		met, err := host.Meet(world)
		switch breach := (*frame.Breach)(nil); {
		case err == host.ErrGone:
			engine.Statuses <- 0
			return
		case err != nil:
			breach, _ = err.(*frame.Breach)
			world.Breach(breach)
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

// Deliver sends a message.
func (e *Engine) Deliver(id uint32, replied bool, message proto.Message) {
	e.t.Helper()
	e.Write(Delivery(e.t, id, replied, message))
}

// Delivery is the frame of a message, with a request id and metadata.
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

// Close ends the engine's side.
func (e *Engine) Close() {
	_ = e.socket.Close()
}

// Frame is one frame of the host's.
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
		e.t.Fatalf("no frame of the host: %v; stderr: %s", err, e.Stderr)
	}
	body := make([]byte, binary.LittleEndian.Uint32(header[:])-frame.Counted)
	if _, err := io.ReadFull(e.socket, body); err != nil {
		e.t.Fatalf("a frame of the host is cut short: %v", err)
	}
	return Frame{Kind: frame.Kind(header[4]), ID: binary.LittleEndian.Uint32(header[5:]), Body: body}
}

// Await reads the next frame, which must be of a kind.
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

// Result is a RESULT, taken apart.
type Result struct {
	ID        uint32
	Status    frame.Status
	EarlyExit bool
	Last      []byte
}

// Result reads a RESULT.
func (e *Engine) Result() Result {
	e.t.Helper()
	return ParseResult(e.Await(frame.Result))
}

// ParseResult takes a RESULT apart.
func ParseResult(from Frame) Result {
	return Result{
		ID:        from.ID,
		Status:    frame.Status(from.Body[0]),
		EarlyExit: from.Body[1]&1 != 0,
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

// End waits for the end of a host that says no more.
func (e *Engine) End() int {
	e.t.Helper()
	status := e.Status()
	rest, err := io.ReadAll(e.socket)
	if err != nil && !errors.Is(err, net.ErrClosed) || len(rest) > 0 {
		e.t.Fatalf("the host ended with status %d after %q: %v; stderr: %s", status, rest, err, e.Stderr)
	}
	return status
}

// Status waits for the end of the host.
func (e *Engine) Status() int {
	e.t.Helper()
	select {
	case status := <-e.Statuses:
		return status
	case <-time.After(patience):
		e.t.Fatal("the host does not end")
		return -1
	}
}
