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

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/konstellation-io/krt/sdk/go/internal/birth"
	"github.com/konstellation-io/krt/sdk/go/internal/frame"
	"github.com/konstellation-io/krt/sdk/go/internal/host"
)

// HandlerInit is called once, before the first message. It may panic, which fails the start.
type HandlerInit func(ctx *HandlerContext)

// Handler is called for each message, one at a time unless the node asks for more. What it returns
// goes to the next node, or is the answer.
//
// A panic is an error of that request; the process lives on.
type Handler func(ctx *HandlerContext, data *anypb.Any) (protoadapt.MessageV1, error)

// Message is a message of protobuf, of the new API (google.golang.org/protobuf/proto) or the old
// one (github.com/golang/protobuf/proto).
type Message interface{}

// Start runs the node until the engine says to stop.
//
// The handler is a Handler, or a function like it that returns the new API's proto.Message; no type
// of Go's is both. handlerInit may be nil.
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
	if payload := with.Hello.Payload; payload != "" && payload != frame.Protobuf {
		with.Break(fmt.Sprintf(
			"a node in Go works with messages, not with `payload: %s`; hint: remove it from the node in krt.yml", payload))
		return
	}
	handle, err := adapt(handler)
	if err != nil {
		with.Break(err.Error())
		return
	}
	values := newValues()
	var initialise func(host.Scope)
	if handlerInit != nil {
		initialise = func(scope host.Scope) { handlerInit(newContext(&with.Hello, scope, values)) }
	}
	with.Serve(initialise, func(scope host.Scope, delivery *host.Delivery) (proto.Message, error) {
		return handle(newContext(&with.Hello, scope, values), &delivery.Data)
	})
}

// adapt takes a handler of either API.
func adapt(handler interface{}) (func(*HandlerContext, *anypb.Any) (proto.Message, error), error) {
	switch handler := handler.(type) {
	case Handler:
		return old(handler), present(handler == nil)
	case func(*HandlerContext, *anypb.Any) (protoadapt.MessageV1, error):
		return old(handler), present(handler == nil)
	case func(*HandlerContext, *anypb.Any) (proto.Message, error):
		return func(ctx *HandlerContext, data *anypb.Any) (proto.Message, error) {
			answer, err := handler(ctx, data)
			if err != nil {
				return nil, err
			}
			return host.Message(answer)
		}, present(handler == nil)
	}
	return nil, fmt.Errorf(
		"kre.Start was given a `%T` as handler; hint: write func(ctx *kre.HandlerContext, "+
			"data *anypb.Any) (proto.Message, error)", handler)
}

func old(handler Handler) func(*HandlerContext, *anypb.Any) (proto.Message, error) {
	return func(ctx *HandlerContext, data *anypb.Any) (proto.Message, error) {
		answer, err := handler(ctx, data)
		if err != nil {
			return nil, err
		}
		return host.Message(answer)
	}
}

func present(isNil bool) error {
	if isNil {
		return errors.New("kre.Start was given nil as handler; hint: give it the node's handler")
	}
	return nil
}
