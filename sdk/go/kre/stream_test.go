package kre

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/konstellation-io/krt/sdk/go/internal/enginetest"
	"github.com/konstellation-io/krt/sdk/go/internal/frame"
)

// startStream runs a node whose answers may be streams, reads READY, and delivers a message.
func startStream(t *testing.T, concurrency int, handler newHandler) *enginetest.Engine {
	t.Helper()
	hello := enginetest.Hello()
	hello["stream"] = map[string]any{"messages": 3, "bytes": 1 << 16}
	hello["concurrency"] = concurrency
	engine := begin(t, hello, nil, handler)
	engine.Ready()
	deliverStream(t, engine, 1, 0)
	return engine
}

func deliverStream(t *testing.T, engine *enginetest.Engine, id uint32, flags byte) {
	t.Helper()
	delivery := enginetest.Delivery(t, id, false, wrapperspb.String("in"))
	delivery[frame.HeaderSize] |= 4 | flags
	engine.Write(delivery)
}

func credit(engine *enginetest.Engine, id, messages uint32, bytes uint64) {
	body := binary.LittleEndian.AppendUint32(nil, messages)
	engine.Send(frame.Credit, id, binary.LittleEndian.AppendUint64(body, bytes))
}

// expectMessages reads MESSAGEs with these numbers. Returns their bytes.
func expectMessages(t *testing.T, engine *enginetest.Engine, first, last int) uint64 {
	t.Helper()
	size := 0
	for number := first; number <= last; number++ {
		message := engine.Await(frame.Message)
		text := &wrapperspb.StringValue{}
		enginetest.Unpack(t, message.Body, text)
		expect(t, text.Value, fmt.Sprint(number))
		size += len(message.Body)
	}
	return uint64(size)
}

// counts sends eight messages.
func counts(ctx *HandlerContext, _ *anypb.Any) (proto.Message, error) {
	for number := 1; number <= 8; number++ {
		if err := ctx.Send(wrapperspb.String(fmt.Sprint(number))); err != nil {
			ctx.Logger.Info(err.Error())
			return nil, err
		}
	}
	return nil, nil
}

func TestMessagesGoOutAsThereIsCredit(t *testing.T) {
	for _, concurrency := range []int{1, 3} {
		engine := startStream(t, concurrency, counts)
		size := expectMessages(t, engine, 1, 3)
		credit(engine, 1, 2, size*2/3)
		expectMessages(t, engine, 4, 5)
		credit(engine, 1, 3, size)
		expectMessages(t, engine, 6, 8)
		expect(t, engine.Result().Status, frame.None)
		stop(t, engine)
	}
}

func TestACancelledHandlerThatWaitsForCreditEnds(t *testing.T) {
	for _, concurrency := range []int{1, 3} {
		engine := startStream(t, concurrency, counts)
		expectMessages(t, engine, 1, 3)
		engine.Send(frame.Cancel, 1, nil)
		expect(t, engine.Log(), "1 1 "+context.Canceled.Error())
		expect(t, engine.Result().Status, frame.Cancelled)
		stop(t, engine)
	}
}

func TestBytesHoldAHandlerBack(t *testing.T) {
	large := string(make([]byte, 1<<16))
	engine := startStream(t, 1, func(ctx *HandlerContext, _ *anypb.Any) (proto.Message, error) {
		return wrapperspb.String("last"), errors.Join(ctx.Send(wrapperspb.String(large)), ctx.Send(wrapperspb.String("2")))
	})
	size := len(engine.Await(frame.Message).Body)
	credit(engine, 1, 1, uint64(size))
	expectMessages(t, engine, 2, 2)
	text := &wrapperspb.StringValue{}
	enginetest.Unpack(t, engine.Result().Last, text)
	expect(t, text.Value, "last")
	stop(t, engine)
}

func TestAnRPCWithOneAnswerHasNoStream(t *testing.T) {
	engine := handle(t, counts)
	engine.Log()
	engine.Log()
	result := engine.Result()
	expect(t, result.Status, frame.Error)
	expect(t, string(result.Last), "[ctx.send] the RPC has one answer; hint: write `returns (stream …)` in the .proto "+
		"to answer with several messages")
	stop(t, engine)
}

func TestMessagesAfterAnEarlyReplyAreDropped(t *testing.T) {
	engine := startStream(t, 1, func(ctx *HandlerContext, data *anypb.Any) (proto.Message, error) {
		if err := ctx.EarlyReply(wrapperspb.String("soon")); err != nil {
			return nil, err
		}
		return counts(ctx, data)
	})
	engine.Await(frame.EarlyReply)
	expect(t, engine.Result().Status, frame.None)
	stop(t, engine)
}

func TestSendAfterTheHandlerFails(t *testing.T) {
	contexts := make(chan *HandlerContext, 1)
	engine := startStream(t, 1, func(ctx *HandlerContext, _ *anypb.Any) (proto.Message, error) {
		contexts <- ctx
		return nil, ctx.Send(nil)
	})
	engine.Log()
	expect(t, string(engine.Result().Last), "[ctx.send] there is nothing to send; hint: build a message of the `.proto`, "+
		"or a map where the node has `payload: json`")
	err := (<-contexts).Send(wrapperspb.String("late"))
	expect(t, err.Error(), "[ctx.send] there is no request after the handler has returned; hint: call it in `handler`")
	stop(t, engine)
}

func TestACreditThatDoesNotParseIsAViolation(t *testing.T) {
	engine := startStream(t, 1, counts)
	expectMessages(t, engine, 1, 3)
	engine.Send(frame.Credit, 1, []byte{1})
	expect(t, engine.Status(), 70)
}
