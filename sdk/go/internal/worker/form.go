package worker

import (
	"fmt"

	"github.com/konstellation-io/krt/sdk/go/internal/frame"
)

// longestBegin is the number of bytes that a frame reserves for the fields around a message.
const longestBegin = 1024

// form converts the data of user code: messages, or plain data.
type form interface {
	// open reads the payload of a DELIVER. It copies the payload unless owned.
	open(delivery *Delivery, payload []byte, owned bool) error
	// pack appends the value of user code, which may be empty.
	pack(out []byte, value any) (packed []byte, given bool, err error)
}

func formOf(hello frame.Introduction) form {
	limit := min(hello.MaxMessage, int(hello.MaxFrame)-longestBegin)
	if hello.Payload == frame.JSON {
		return plain{limit: limit}
	}
	return &messages{limit: limit}
}

// TooLargeError is an answer above the size limit of messages.
type TooLargeError struct {
	// What names the answer, with an article where it needs one.
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
