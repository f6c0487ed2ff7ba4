package host

import (
	"fmt"
	"io"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/konstellation-io/krt/sdk/go/internal/frame"
)

const (
	// heldMost is how many bytes are held back at the most.
	heldMost = 16 << 10
	// heldLongest is how long frames are held back at the most.
	heldLongest = 50 * time.Millisecond
	// keptMost is the largest buffer that is used again.
	keptMost = 4 << 20
)

// link is the way to the engine: it writes frames, from any goroutine, in whole and in order.
//
// A write blocks while the engine is slow. Once the engine is gone nothing is written any more, and
// logs go to standard error so that they are not lost.
type link struct {
	out        io.Writer
	stderr     io.Writer
	longestLog int

	mu   sync.Mutex
	gone bool
	// held are frames that go out with the next one that cannot wait.
	held  []byte
	armed bool
	spare []byte
}

// log writes a LOG at once: it must survive a crash.
func (l *link) log(of *Delivery, level frame.Level, now time.Time, text string) {
	text = fit(text, l.longestLog)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		// Nobody is left to tell of an error.
		_, _ = fmt.Fprintln(l.stderr, text)
		return
	}
	l.spare = frame.AppendLog(l.spare[:0], of.number(), level, now.UnixNano(), text)
	l.write(l.spare)
}

// hold writes a frame with the next one that cannot wait, or a moment later.
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

// reply writes an early reply unless there was one; data names the delivery.
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

// exit notes that the handler asked for an early exit.
func (l *link) exit(delivery *Delivery) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if delivery == nil || !delivery.open {
		return noRequest("early_exit", delivery)
	}
	delivery.earlyExit = true
	return nil
}

// close says that the delivery takes no early reply and no early exit any more, and whether it had the
// latter.
func (l *link) close(delivery *Delivery) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	delivery.open = false
	return delivery.earlyExit
}

// leave notes that the engine is gone.
func (l *link) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = true
}

// write writes what was held back, and then data, by one call.
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

// number is the id for frames that code of a delivery sends, answered or not; 0 outside of any.
func (d *Delivery) number() uint32 {
	if d == nil {
		return 0
	}
	return d.id
}

// kept is a buffer to use again, empty.
func kept(buffer []byte) []byte {
	if cap(buffer) > keptMost {
		return nil
	}
	return buffer[:0]
}

// fit cuts a text that is too long, and says so in it.
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
