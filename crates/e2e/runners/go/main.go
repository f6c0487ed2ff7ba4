// A node like those of real packages, built with a stand-in of the older runner: adds its name to the text of
// a wire.Order, and follows the instructions in the order.
package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	kre "github.com/konstellation-io/kre-runners/kre-go"
	"google.golang.org/protobuf/encoding/protowire"
)

const typeURL = "type.googleapis.com/wire.Order"

type order struct {
	text, act string
	load      []byte
}

func unpack(payload []byte) (order, error) {
	value, err := field(payload, 2)
	if err != nil {
		return order{}, err
	}
	var o order
	for number, target := range map[protowire.Number]*string{1: &o.text, 2: &o.act} {
		content, err := field(value, number)
		if err != nil {
			return order{}, err
		}
		*target = string(content)
	}
	o.load, err = field(value, 3)
	return o, err
}

func field(data []byte, wanted protowire.Number) ([]byte, error) {
	for len(data) > 0 {
		number, kind, size := protowire.ConsumeTag(data)
		if size < 0 || kind != protowire.BytesType {
			return nil, fmt.Errorf("not a message of texts")
		}
		content, length := protowire.ConsumeBytes(data[size:])
		if length < 0 {
			return nil, protowire.ParseError(length)
		}
		if number == wanted {
			return content, nil
		}
		data = data[size+length:]
	}
	return nil, nil
}

func (o order) pack() []byte {
	put := func(out []byte, number protowire.Number, content []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(out, number, protowire.BytesType), content)
	}
	value := put(put(put(nil, 1, []byte(o.text)), 2, []byte(o.act)), 3, o.load)
	return put(put(nil, 1, []byte(typeURL)), 2, value)
}

func handlerInit(ctx *kre.Context) {
	kre.Log("WARN", "init of %s", ctx.Node)
	// A test may block it here.
	for {
		if _, err := os.Stat(os.Getenv("E2E_SCRATCH") + "/hold"); err != nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func handler(ctx *kre.Context, payload []byte) ([]byte, error) {
	o, err := unpack(payload)
	if err != nil {
		return nil, err
	}
	o.text += " " + ctx.Node
	if node, act, _ := strings.Cut(o.act, " "); node == ctx.Node {
		return do(ctx, act, o)
	}
	return o.pack(), nil
}

func do(ctx *kre.Context, act string, o order) ([]byte, error) {
	early := order{text: o.text + " early"}.pack()
	switch act {
	case "fail":
		return nil, fmt.Errorf("no: %s", o.text)
	case "none":
		return nil, nil
	case "early_reply":
		return o.pack(), ctx.EarlyReply(early)
	case "early_reply_and_none":
		return nil, ctx.EarlyReply(early)
	case "early_reply_and_die":
		if err := ctx.EarlyReply(early); err != nil {
			return nil, err
		}
		time.Sleep(200 * time.Millisecond)
		os.Exit(3)
	case "die":
		return nil, syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "hang":
		time.Sleep(time.Hour)
	case "print":
		fmt.Println("printed by the handler")
	case "pid":
		o.text = fmt.Sprintf("%s=%d", ctx.Node, os.Getpid())
	case "measure":
		fields := map[string]interface{}{"number": 1.5, "text": "a \"b\""}
		ctx.Measure("measured", map[string]string{"kind": "a b"}, fields)
	case "save":
		return o.pack(), ctx.Save("orders", map[string]interface{}{"text": o.text, "number": 7})
	case "find":
		var found []struct{ Text string }
		if err := ctx.Find("orders", map[string]interface{}{"number": 7}, &found); err != nil {
			return nil, err
		}
		o.text += fmt.Sprint(found)
	}
	return o.pack(), nil
}

func main() {
	kre.Start(handlerInit, handler)
}
