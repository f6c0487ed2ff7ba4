package host

import (
	"fmt"

	"github.com/konstellation-io/krt/sdk/go/internal/frame"
)

// longestBegin is how much of a frame is left for what stands around a message.
const longestBegin = 1024

// form is what user code gets and gives: messages, or plain data.
type form interface {
	// open reads what a DELIVER carries. The payload is copied unless nobody else uses it.
	open(delivery *Delivery, payload []byte, owned bool) error
	// pack appends what user code gives; it may give nothing.
	pack(out []byte, value any) (packed []byte, given bool, err error)
}

func formOf(hello frame.Introduction) form {
	limit := min(hello.MaxMessage, int(hello.MaxFrame)-longestBegin)
	if hello.Payload == frame.JSON {
		return plain{limit: limit}
	}
	return &messages{limit: limit}
}

// TooLargeError is an answer that is larger than messages may be.
type TooLargeError struct {
	// What it is, with an article where it has one.
	What  string
	Size  int
	Limit int
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the answer, %s, has %d bytes, more than the limit of %d bytes", e.What, e.Size, e.Limit)
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}
