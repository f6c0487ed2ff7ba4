package kre

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/konstellation-io/krt/sdk/go/internal/enginetest"
	"github.com/konstellation-io/krt/sdk/go/internal/frame"
)

type batchHandler = func(*BatchContext, []*anypb.Any) ([]Answer, error)

// startBatches runs a node with batches against an engine, and reads READY.
func startBatches(t *testing.T, concurrency int, handler interface{}) *enginetest.Engine {
	t.Helper()
	hello := enginetest.Hello()
	hello["batch"], hello["concurrency"] = map[string]any{"max": 8}, concurrency
	engine := begin(t, hello, nil, handler)
	if ready := engine.Await(frame.Ready); !strings.Contains(string(ready.Body), `"batch":true`) {
		t.Fatalf("%s", ready.Body)
	}
	return engine
}

// deliverBatch sends the deliveries first, first+1, … of a batch.
func deliverBatch(t *testing.T, engine *enginetest.Engine, first uint32, texts ...string) {
	t.Helper()
	var together []byte
	for index, text := range texts {
		begin := len(together)
		together = append(together, enginetest.Delivery(t, first+uint32(index), false, wrapperspb.String(text))...)
		if index+1 < len(texts) {
			together[begin+frame.HeaderSize] |= 2
		}
	}
	engine.Write(together)
}

func texts(data []*anypb.Any) []string {
	var found []string
	for _, item := range data {
		text := &wrapperspb.StringValue{}
		if err := item.UnmarshalTo(text); err != nil {
			panic(err)
		}
		found = append(found, text.Value)
	}
	return found
}

func count(_ *BatchContext, data []*anypb.Any) ([]Answer, error) {
	var answers []Answer
	for _, text := range texts(data) {
		answers = append(answers, Answer{Message: wrapperspb.String(fmt.Sprint(text, " of ", len(data)))})
	}
	return answers, nil
}

// expectText reads the RESULT of a delivery, which must be this text.
func expectText(t *testing.T, engine *enginetest.Engine, id uint32, expected string) {
	t.Helper()
	result := engine.Result()
	text := &wrapperspb.StringValue{}
	enginetest.Unpack(t, result.Last, text)
	expect(t, fmt.Sprint(result.ID, " ", text.Value, " ", result.Whole), fmt.Sprint(id, " ", expected, " false"))
}

func TestABatchIsOneCall(t *testing.T) {
	for _, concurrency := range []int{1, 3} {
		engine := startBatches(t, concurrency, batchHandler(count))
		deliverBatch(t, engine, 1, "a", "b", "c")
		expectText(t, engine, 1, "a of 3")
		expectText(t, engine, 2, "b of 3")
		expectText(t, engine, 3, "c of 3")
		deliverBatch(t, engine, 4, "d")
		expectText(t, engine, 4, "d of 1")
		stop(t, engine)
	}
}

func TestPlainBatches(t *testing.T) {
	hello := enginetest.Hello()
	hello["batch"], hello["payload"] = map[string]any{"max": 8}, "json"
	sums := func(_ *BatchContext, data []map[string]interface{}) ([]Answer, error) {
		answers := make([]Answer, len(data))
		for index, item := range data {
			answers[index].Message = map[string]interface{}{"n": item["n"].(float64) + float64(len(data))}
		}
		return answers, nil
	}
	engine := begin(t, hello, nil, sums)
	engine.Ready()
	engine.Send(frame.Deliver, 1, append([]byte{2, 0, 0, 0, 0, 0}, `{"n":1}`...))
	engine.Send(frame.Deliver, 2, append(make([]byte, 6), `{"n":2}`...))
	expect(t, string(engine.Result().Last), `{"n":3}`)
	expect(t, string(engine.Result().Last), `{"n":4}`)
	stop(t, engine)
}

func TestEachItemEndsOnItsOwn(t *testing.T) {
	engine := startBatches(t, 1, batchHandler(func(*BatchContext, []*anypb.Any) ([]Answer, error) {
		return []Answer{
			{Message: wrapperspb.String("fine")},
			{Err: errors.New("broken")},
			{},
			{Message: 5},
			{Message: wrapperspb.String(strings.Repeat("x", 1<<20))},
		}, nil
	}))
	deliverBatch(t, engine, 1, "a", "b", "c", "d", "e")
	expectText(t, engine, 1, "fine")
	expect(t, engine.Log(), "3 2 the handler failed: broken")
	expect(t, string(engine.Result().Last), "broken")
	expect(t, engine.Result().Status, frame.None)
	expect(t, strings.HasPrefix(engine.Log(), "3 4 the handler failed: a protobuf message was expected"), true)
	expect(t, engine.Result().Status, frame.Error)
	expect(t, strings.HasPrefix(engine.Log(), "3 5 the handler failed: the answer, a"), true)
	expect(t, engine.Result().Status, frame.TooLarge)
	stop(t, engine)
}

func TestABatchFailsAsAWhole(t *testing.T) {
	rows := []struct {
		name    string
		handler batchHandler
		last    string
	}{
		{"error", func(*BatchContext, []*anypb.Any) ([]Answer, error) { return nil, errors.New("no model") }, "no model"},
		{"panic", func(*BatchContext, []*anypb.Any) ([]Answer, error) { panic("no model") }, "panic: no model"},
		{"too few", func(*BatchContext, []*anypb.Any) ([]Answer, error) { return []Answer{{}}, nil },
			"the handler returned a list of length 1 for a batch of 2; hint: return one answer for each item, in their order"},
		{"Goexit", func(*BatchContext, []*anypb.Any) ([]Answer, error) {
			runtime.Goexit()
			return nil, nil
		}, "user code ended its goroutine (runtime.Goexit)"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			calls := 0
			engine := startBatches(t, 1, batchHandler(func(ctx *BatchContext, data []*anypb.Any) ([]Answer, error) {
				if calls++; calls > 1 {
					return count(ctx, data)
				}
				return row.handler(ctx, data)
			}))
			deliverBatch(t, engine, 1, "a", "b")
			// The failure is no request's own.
			expect(t, strings.HasPrefix(engine.Log(), "3 0 "), true)
			for id := uint32(1); id <= 2; id++ {
				result := engine.Result()
				expect(t, result.ID, id)
				expect(t, result.Whole, true)
				expect(t, string(result.Last), row.last)
			}
			deliverBatch(t, engine, 3, "again")
			expectText(t, engine, 3, "again of 1")
			stop(t, engine)
		})
	}
}

func TestTheErrorOfABatchOfOneIsItsRequestsOwn(t *testing.T) {
	engine := startBatches(t, 1, batchHandler(func(*BatchContext, []*anypb.Any) ([]Answer, error) {
		return nil, errors.New("no model")
	}))
	deliverBatch(t, engine, 7, "a")
	expect(t, engine.Log(), "3 7 the handler failed: no model")
	expect(t, string(engine.Result().Last), "no model")
	stop(t, engine)
}

func TestEachItemKeepsItsOwn(t *testing.T) {
	engine := startBatches(t, 1, batchHandler(func(ctx *BatchContext, data []*anypb.Any) ([]Answer, error) {
		ctx.Logger.Info("together")
		if err := ctx.EarlyReply(wrapperspb.String("no")); err == nil ||
			!strings.Contains(err.Error(), "[ctx.early_reply] a batch has several requests; hint: ") {
			return nil, fmt.Errorf("%v", err)
		}
		ctx.SetEarlyExit()
		ctx.Items[0].Logger.Info("alone")
		ctx.Items[1].SetEarlyExit()
		if err := ctx.Items[1].EarlyReply(wrapperspb.String("early")); err != nil {
			return nil, err
		}
		return count(ctx, data)
	}))
	deliverBatch(t, engine, 1, "a", "b")
	expect(t, engine.Log(), "1 0 together")
	expect(t, strings.HasPrefix(engine.Log(), "3 0 [ctx.early_exit] a batch has several requests"), true)
	expect(t, engine.Log(), "1 1 alone")
	expect(t, engine.Await(frame.EarlyReply).ID, 2)
	expect(t, engine.Result().EarlyExit, false)
	expect(t, engine.Result().EarlyExit, true)
	stop(t, engine)
}

func TestABatchIsCancelledWithItsLastRequest(t *testing.T) {
	for _, concurrency := range []int{1, 2} {
		engine := startBatches(t, concurrency, batchHandler(func(ctx *BatchContext, _ []*anypb.Any) ([]Answer, error) {
			ctx.Logger.Info("waiting")
			first := ctx.Items[0].Context()
			<-first.Done()
			ctx.Logger.Info("the first has left")
			<-ctx.Context().Done()
			return nil, ctx.Context().Err()
		}))
		deliverBatch(t, engine, 1, "a", "b")
		expect(t, engine.Log(), "1 0 waiting")
		engine.Send(frame.Cancel, 1, nil)
		expect(t, engine.Log(), "1 0 the first has left")
		engine.Send(frame.Cancel, 2, nil)
		for range [2]int{} {
			result := engine.Result()
			expect(t, result.Status, frame.Cancelled)
			expect(t, result.Whole, true)
		}
		stop(t, engine)
	}
}

func TestCancelledBeforeTheBatchStarts(t *testing.T) {
	engine := startBatches(t, 1, batchHandler(func(ctx *BatchContext, data []*anypb.Any) ([]Answer, error) {
		if texts(data)[0] == "wait" {
			context := ctx.Context()
			ctx.Logger.Info("waiting")
			<-context.Done()
		}
		return count(ctx, data)
	}))
	deliverBatch(t, engine, 1, "wait")
	expect(t, engine.Log(), "1 0 waiting")
	deliverBatch(t, engine, 2, "a", "b", "c")
	for _, id := range []uint32{4, 2} {
		engine.Send(frame.Cancel, id, nil)
		result := engine.Result()
		expect(t, result.ID, id)
		expect(t, result.Status, frame.Cancelled)
	}
	engine.Send(frame.Cancel, 1, nil)
	expectText(t, engine, 1, "wait of 1")
	expectText(t, engine, 3, "b of 1")
	stop(t, engine)
}

func TestHandlersFitTheBatchesOfTheirNode(t *testing.T) {
	hello := enginetest.Hello()
	engine := begin(t, hello, nil, batchHandler(count))
	expect(t, strings.Contains(string(engine.Await(frame.Broken).Body), "node `etl` has no `batch`; hint: "), true)
	hello["batch"] = map[string]any{"max": 8}
	engine = begin(t, hello, nil, newHandler(echo))
	expect(t, strings.Contains(string(engine.Await(frame.Broken).Body), "its handler gets one message at a time"), true)
}
