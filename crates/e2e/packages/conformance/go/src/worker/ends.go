package main

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/konstellation-io/kre-runners/kre-go/v2"
	"google.golang.org/protobuf/proto"

	"conformance/pb"
)

var ends = map[string]act{
	"fail": func(_ *kre.HandlerContext, order *pb.Order) (proto.Message, error) {
		return nil, errors.New(order.Text)
	},
	"panic": func(_ *kre.HandlerContext, order *pb.Order) (proto.Message, error) {
		panic(order.Text)
	},
	"nil_map": func(*kre.HandlerContext, *pb.Order) (proto.Message, error) {
		var kept map[string]int
		kept["x"] = 1
		return nil, nil
	},
	"goexit": func(*kre.HandlerContext, *pb.Order) (proto.Message, error) {
		runtime.Goexit()
		return nil, nil
	},
	"none": func(*kre.HandlerContext, *pb.Order) (proto.Message, error) { return nil, nil },
	"typed_none": func(*kre.HandlerContext, *pb.Order) (proto.Message, error) {
		return (*pb.Answer)(nil), nil
	},
	"stream": func(ctx *kre.HandlerContext, order *pb.Order) (proto.Message, error) {
		for number := int64(0); number < order.Number; number++ {
			if err := ctx.Send(answer(strconv.FormatInt(number, 10))); err != nil {
				return nil, err
			}
		}
		switch order.Text {
		case "fail":
			return nil, errors.New("no more")
		case "":
			return nil, nil
		}
		return answer(order.Text), nil
	},
	"large": func(_ *kre.HandlerContext, order *pb.Order) (proto.Message, error) {
		return answer(strings.Repeat("x", int(order.Number))), nil
	},
	"other_type": func(_ *kre.HandlerContext, order *pb.Order) (proto.Message, error) { return order, nil },
	"exit_process": func(_ *kre.HandlerContext, order *pb.Order) (proto.Message, error) {
		os.Exit(int(order.Number))
		return nil, nil
	},
	"die": func(*kre.HandlerContext, *pb.Order) (proto.Message, error) { return die() },
	"die_once": func(_ *kre.HandlerContext, order *pb.Order) (proto.Message, error) {
		if !exists(order.Text) {
			put(order.Text, "")
			return die()
		}
		return answer(order.Text), nil
	},
	"panic_beside": func(*kre.HandlerContext, *pb.Order) (proto.Message, error) {
		go panic("in a goroutine of its own")
		select {}
	},
	"wait":  wait,
	"block": wait,
	// Starts a program that sends itself a signal, and tells which one has ended it.
	"child": func(_ *kre.HandlerContext, order *pb.Order) (proto.Message, error) {
		var ended *exec.ExitError
		if err := exec.Command("sh", "-c", "kill -"+order.Text+" $$; exit 7").Run(); !errors.As(err, &ended) {
			return nil, err
		}
		return answer(strconv.Itoa(int(ended.Sys().(syscall.WaitStatus).Signal()))), nil
	},
	// Waits for the same, but gives up when nobody waits any more.
	"watch": func(ctx *kre.HandlerContext, order *pb.Order) (proto.Message, error) {
		put(order.Text+".begun", "")
		select {
		case <-ctx.Context().Done():
			put(order.Text+".cancelled", "")
			return nil, ctx.Context().Err()
		case <-time.After(time.Minute):
			return answer(order.Text), nil
		}
	},
}

// wait waits for a file, and says that it does by another.
func wait(_ *kre.HandlerContext, order *pb.Order) (proto.Message, error) {
	put(order.Text+".begun", "")
	until(order.Text)
	return answer(order.Text), nil
}

func die() (proto.Message, error) {
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		return nil, err
	}
	select {}
}
