package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/konstellation-io/kre-runners/kre-go/v2"
	"google.golang.org/protobuf/proto"

	"conformance/pb"
)

var values = map[string]act{
	"values": func(ctx *kre.HandlerContext, _ *pb.Order) (proto.Message, error) {
		ctx.Set("key", "text")
		return list(ctx.GetInt("from init"), ctx.GetString("key"), ctx.GetFloat("ratio"), ctx.Get("reply in init"))
	},
	"calls": func(ctx *kre.HandlerContext, _ *pb.Order) (proto.Message, error) {
		ctx.Set("calls", ctx.GetInt("calls")+1)
		return answer(fmt.Sprint(ctx.GetInt("calls"))), nil
	},
	"missing": func(ctx *kre.HandlerContext, _ *pb.Order) (proto.Message, error) {
		return list(ctx.Get("nowhere"), ctx.GetString("calls"), ctx.GetInt("nowhere"), ctx.GetFloat("calls"))
	},
	"path": func(ctx *kre.HandlerContext, _ *pb.Order) (proto.Message, error) {
		folder, err := os.Getwd()
		if err != nil {
			return nil, err
		}
		return list(ctx.Path("models/a.bin"), folder)
	},
	"request": func(ctx *kre.HandlerContext, _ *pb.Order) (proto.Message, error) {
		ctx.Logger.Info("asked for the request")
		return answer(ctx.RequestID()), nil
	},
	"deadline": func(ctx *kre.HandlerContext, order *pb.Order) (proto.Message, error) {
		if order.Text == "reply" {
			if err := ctx.EarlyReply(answer("")); err != nil {
				return nil, err
			}
			ctx.Logger.Infof("after the reply: %s", deadline(ctx))
		}
		return answer("[" + deadline(ctx) + "]"), nil
	},
	"metadata": func(ctx *kre.HandlerContext, _ *pb.Order) (proto.Message, error) {
		keys := []string{}
		for _, key := range ctx.Metadata().Binary("x-key-bin") {
			keys = append(keys, hex.EncodeToString(key))
		}
		return list(sent(ctx, "x-tenant"), keys, sent(ctx, "x-other"))
	},
	"environment": func(_ *kre.HandlerContext, order *pb.Order) (proto.Message, error) {
		return answer(os.Getenv(order.Text)), nil
	},
	"stdin": func(*kre.HandlerContext, *pb.Order) (proto.Message, error) {
		count, err := os.Stdin.Read(make([]byte, 1))
		if err == io.EOF {
			err = nil
		}
		return answer(fmt.Sprint(count)), err
	},
	"echo": func(_ *kre.HandlerContext, order *pb.Order) (proto.Message, error) {
		made := on(order, order.Text)
		made.Blob = order.Blob
		return made, nil
	},
}

// sent returns what the client sent under a name, or nil.
func sent(ctx *kre.HandlerContext, name string) interface{} {
	if value := ctx.Metadata().Get(name); value != "" {
		return value
	}
	return nil
}

// deadline returns the seconds left, or None.
func deadline(ctx *kre.HandlerContext) string {
	left, waits := ctx.Deadline()
	if !waits {
		return "None"
	}
	return fmt.Sprint(left.Seconds())
}

// list answers with values as JSON.
func list(values ...interface{}) (proto.Message, error) {
	text, err := json.Marshal(values)
	return answer(string(text)), err
}
