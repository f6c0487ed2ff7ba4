package worker

import (
	"fmt"
	"io"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/konstellation-io/krt/sdk/go/internal/frame"
)

const (
	// heldMost is the maximum number of delayed bytes.
	heldMost = 16 << 10
	// heldLongest is the maximum delay of a frame.
	heldLongest = 50 * time.Millisecond
	// keptMost is the maximum size of a reused buffer.
	keptMost = 4 << 20
)

// link is the connection to the engine: it writes whole frames, in order, from any goroutine.
//
// A write blocks while the engine is slow. Once the engine is gone the link writes no frames, and sends logs
// to standard error so that they are not lost.
type link struct {
	out        io.Writer
	stderr     io.Writer
	longestLog int

	mu   sync.Mutex
	gone bool
	// held are delayed frames, which go out with the next frame that cannot wait.
	held  []byte
	armed bool
	spare []byte
}

// log writes a LOG at once, so that it survives a crash.
func (l *link) log(of *Delivery, level frame.Level, now time.Time, text string) {
	text = fit(text, l.longestLog)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		// There is no place to report an error to.
		_, _ = fmt.Fprintln(l.stderr, text)
		return
	}
	l.spare = frame.AppendLog(l.spare[:0], of.number(), level, now.UnixNano(), text)
	l.write(l.spare)
}

// hold writes a frame with the next one that cannot wait, or after a short delay.
func (l *link) hold(of *Delivery, kind frame.Kind, body []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = frame.Append(l.held, kind, of.number(), body)
	if len(l.held) > heldMost {
		l.write(nil)
	} else if !l.armed {
		l.armed = true
		time.AfterFunc(heldLongest, l.flush)
	}
}

func (l *link) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed = false
	l.write(nil)
}

// send writes one frame.
func (l *link) send(data []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write(data)
}

// reply writes an early reply unless there was one; data is the frame with the delivery's id.
func (l *link) reply(delivery *Delivery, data []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !delivery.open {
		return noRequest("early_reply", delivery)
	}
	if delivery.replied {
		return ErrReplied
	}
	delivery.replied = true
	l.write(data)
	return nil
}

// replied reports whether the client of a delivery has its answer.
func (l *link) replied(delivery *Delivery) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return delivery.replied
}

// exit records the early exit of the handler.
func (l *link) exit(delivery *Delivery) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if delivery == nil || !delivery.open {
		return noRequest("early_exit", delivery)
	}
	delivery.earlyExit = true
	return nil
}

// close refuses later early replies and early exits of the delivery, and returns whether it had an early
// exit.
func (l *link) close(delivery *Delivery) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	delivery.open = false
	return delivery.earlyExit
}

// leave records that the engine is gone.
func (l *link) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = true
}

// write writes the delayed frames and then data, in one call.
func (l *link) write(data []byte) {
	if len(l.held) > 0 {
		l.held = append(l.held, data...)
		data = l.held
		l.held = kept(l.held)
	}
	if l.gone || len(data) == 0 {
		return
	}
	if _, err := l.out.Write(data); err != nil {
		l.gone = true
	}
}

// number returns the id for frames from the code of a delivery, answered or not; 0 outside a delivery.
func (d *Delivery) number() uint32 {
	if d == nil {
		return 0
	}
	return d.id
}

// kept empties a buffer for reuse.
func kept(buffer []byte) []byte {
	if cap(buffer) > keptMost {
		return nil
	}
	return buffer[:0]
}

// fit cuts a text that is too long, and marks the cut.
func fit(text string, room int) string {
	if len(text) <= room {
		return text
	}
	note := fmt.Sprintf(" … (cut: there were %d bytes)", len(text))
	end := room - len(note)
	if end < 0 {
		return note
	}
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + note
}
