// Package kre makes a node of KRT v1 from two functions of yours.
//
//	func handlerInit(ctx *kre.HandlerContext) {
//		ctx.Set("greeting", "Hello")
//	}
//
//	func handler(ctx *kre.HandlerContext, data *anypb.Any) (proto.Message, error) {
//		request := &GreetRequest{}
//		if err := data.UnmarshalTo(request); err != nil {
//			return nil, err
//		}
//		return &Greeting{Text: ctx.GetString("greeting") + ", " + request.Name}, nil
//	}
//
//	func main() {
//		kre.Start(handlerInit, handler)
//	}
package kre

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/konstellation-io/krt/sdk/go/internal/birth"
	"github.com/konstellation-io/krt/sdk/go/internal/frame"
	"github.com/konstellation-io/krt/sdk/go/internal/host"
)

// Start runs the node until the engine says to stop.
//
// The handler is a Handler, or a function like it that returns the new API's proto.Message; no type
// of Go's is both. In a node with `payload: json` in krt.yml it is a PlainHandler. handlerInit may be nil.
func Start(handlerInit HandlerInit, handler interface{}) {
	meet, err := connect()
	if err != nil {
		fail(err)
	}
	run(meet, handlerInit, handler)
}

// connect meets the engine that has started this process.
func connect() (*host.Host, error) {
	socket, err := birth.Socket()
	if err != nil {
		return nil, err
	}
	return host.Meet(host.World{
		Stream: socket,
		Shared: birth.SharedSocket,
		Stderr: os.Stderr,
		Now:    time.Now,
		Exit:   os.Exit,
		PID:    os.Getpid(),
	})
}

func fail(err error) {
	var breach *frame.Breach
	status := host.CannotStart
	switch {
	case errors.Is(err, host.ErrGone):
		os.Exit(0)
	case errors.As(err, &breach):
		host.World{Stderr: os.Stderr, Exit: os.Exit}.Breach(breach)
	case errors.Is(err, birth.ErrNoEngine):
		status = host.Usage
	}
	report(os.Stderr, err)
	os.Exit(status)
}

func report(out io.Writer, err error) {
	// Nobody is left to tell of an error.
	_, _ = fmt.Fprintf(out, "krt: %v\n", err)
}

// run serves an engine that was met.
func run(with *host.Host, handlerInit HandlerInit, handler interface{}) {
	if spoken := with.Hello.Protocol; spoken != frame.Protocol {
		with.Break(fmt.Sprintf(
			"this host speaks version %d of the node protocol, the engine version %d; "+
				"hint: use the SDK that comes with the engine", frame.Protocol, spoken))
		return
	}
	node, err := adapt(handler)
	if err == nil {
		err = node.fits(&with.Hello)
	}
	if err != nil {
		with.Break(err.Error())
		return
	}
	values := newValues()
	var initialise func(host.Scope)
	if handlerInit != nil {
		initialise = func(scope host.Scope) { handlerInit(newContext(&with.Hello, scope, values)) }
	}
	with.Serve(initialise, func(scope host.Scope, delivery *host.Delivery) (any, error) {
		return node.handle(newContext(&with.Hello, scope, values), delivery)
	})
}
