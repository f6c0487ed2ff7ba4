// Does what each request of a batch names.
package main

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/konstellation-io/krt/sdk/go/kre"
	"google.golang.org/protobuf/types/known/anypb"

	"conformance/pb"
)

func handler(ctx *kre.BatchContext, data []*anypb.Any) ([]kre.Answer, error) {
	var acts []string
	for _, item := range data {
		order := &pb.Order{}
		if err := item.UnmarshalTo(order); err != nil {
			return nil, err
		}
		acts = append(acts, order.Act)
	}
	for _, act := range acts {
		switch act {
		case "hold":
			if err := hold(); err != nil {
				return nil, err
			}
		case "fail":
			return nil, errors.New("poison")
		case "die":
			os.Exit(3)
		}
	}
	var answers []kre.Answer
	for index, act := range acts {
		answers = append(answers, answer(ctx.Items[index], act, len(data)))
	}
	return answers, nil
}

func answer(own *kre.HandlerContext, act string, size int) kre.Answer {
	var err error
	switch act {
	case "fail alone":
		return kre.Answer{Err: errors.New("only this one")}
	case "early":
		err = own.EarlyReply(&pb.Answer{Text: "early", Process: int64(size)})
	}
	own.Logger.Info("did " + act)
	if act == "request" {
		return kre.Answer{Message: &pb.Answer{Text: own.RequestID(), Process: int64(size)}}
	}
	return kre.Answer{Message: &pb.Answer{Text: act, Process: int64(size)}, Err: err}
}

func hold() error {
	scratch := os.Getenv("E2E_SCRATCH")
	if err := os.WriteFile(filepath.Join(scratch, "hold.begun"), nil, 0o600); err != nil {
		return err
	}
	for {
		if _, err := os.Stat(filepath.Join(scratch, "hold")); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func main() {
	kre.Start(nil, handler)
}
