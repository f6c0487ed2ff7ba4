// Does what the request names; each act tries one thing of the context, or one way to end.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/konstellation-io/kre-runners/kre-go/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"conformance/pb"
)

// act is what a request can name.
type act func(ctx *kre.HandlerContext, order *pb.Order) (proto.Message, error)

func handlerInit(ctx *kre.HandlerContext) {
	ctx.Set("from init", 41)
	ctx.Set("calls", 0)
	ctx.Set("ratio", 0.5)
	ctx.Set("reply in init", fmt.Sprint(ctx.EarlyReply(&pb.Answer{})))
	if err := ctx.DB.Save("starts", map[string]interface{}{"node": "worker"}); err != nil {
		panic(err)
	}
	if os.Getenv("FAIL_INIT") != "" {
		panic("no model at " + ctx.Path("models/none.bin"))
	}
}

func handler(ctx *kre.HandlerContext, data *anypb.Any) (proto.Message, error) {
	order := &pb.Order{}
	if err := data.UnmarshalTo(order); err != nil {
		return nil, fmt.Errorf("invalid request: %w", err)
	}
	for _, acts := range []map[string]act{values, effects, ends} {
		if do, there := acts[order.Act]; there {
			return do(ctx, order)
		}
	}
	return nil, fmt.Errorf("there is no act `%s`", order.Act)
}

func answer(text string) *pb.Answer {
	return &pb.Answer{Text: text, Trail: []string{"worker"}, Process: int64(os.Getpid())}
}

// on is an answer that tells the last node what to do.
func on(order *pb.Order, text string) *pb.Answer {
	made := answer(text)
	made.Then = order.Then
	return made
}

func scratch(name string) string {
	return filepath.Join(os.Getenv("E2E_SCRATCH"), name)
}

func put(name, text string) {
	if err := os.WriteFile(scratch(name), []byte(text), 0o600); err != nil {
		panic(err)
	}
}

func exists(name string) bool {
	_, err := os.Stat(scratch(name))
	return err == nil
}

func until(name string) {
	for !exists(name) {
		time.Sleep(5 * time.Millisecond)
	}
}

func main() {
	kre.Start(handlerInit, handler)
}
