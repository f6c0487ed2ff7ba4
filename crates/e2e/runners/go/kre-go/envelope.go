package kre

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Layout is the only time format that readers accept.
const Layout = "2006-01-02T15:04:05.000000"

// Threshold is the size above which an envelope is compressed.
const Threshold = 1024 * 1024

// Tracking names a node that handled a message, with its times.
type Tracking struct{ NodeName, Start, End string }

// KreNatsMessage is the envelope between nodes. The payload is an encoded google.protobuf.Any.
type KreNatsMessage struct {
	TrackingID string
	Tracking   []Tracking
	Reply      string
	Payload    []byte
	Error      string
	Replied    bool
}

func (m *KreNatsMessage) encode() ([]byte, error) {
	var out []byte
	text := func(out []byte, number protowire.Number, value string) []byte {
		if value == "" {
			return out
		}
		return protowire.AppendString(protowire.AppendTag(out, number, protowire.BytesType), value)
	}
	out = text(out, 1, m.TrackingID)
	for _, stage := range m.Tracking {
		inner := text(text(text(nil, 1, stage.NodeName), 2, stage.Start), 3, stage.End)
		out = protowire.AppendBytes(protowire.AppendTag(out, 2, protowire.BytesType), inner)
	}
	out = text(out, 3, m.Reply)
	if m.Payload != nil {
		out = protowire.AppendBytes(protowire.AppendTag(out, 4, protowire.BytesType), m.Payload)
	}
	out = text(out, 5, m.Error)
	if m.Replied {
		out = protowire.AppendVarint(protowire.AppendTag(out, 6, protowire.VarintType), 1)
	}
	if len(out) <= Threshold {
		return out, nil
	}
	var packed bytes.Buffer
	writer, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := writer.Write(out); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	if packed.Len() > Threshold {
		return nil, fmt.Errorf("compressed message exceeds maximum size allowed of 1 MB")
	}
	return packed.Bytes(), nil
}

func decode(data []byte) (*KreNatsMessage, error) {
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		reader, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		if data, err = io.ReadAll(reader); err != nil {
			return nil, err
		}
	} else if len(data) > Threshold {
		return nil, fmt.Errorf("%d bytes came uncompressed", len(data))
	}
	message := &KreNatsMessage{}
	err := fields(data, func(number protowire.Number, value []byte, flag uint64) error {
		switch number {
		case 1:
			message.TrackingID = string(value)
		case 2:
			stage := Tracking{}
			err := fields(value, func(number protowire.Number, value []byte, _ uint64) error {
				switch number {
				case 1:
					stage.NodeName = string(value)
				case 2:
					stage.Start = string(value)
				case 3:
					stage.End = string(value)
				default:
					return fmt.Errorf("a stage has the unknown field %d", number)
				}
				return nil
			})
			if err != nil {
				return err
			}
			message.Tracking = append(message.Tracking, stage)
		case 3:
			message.Reply = string(value)
		case 4:
			message.Payload = value
		case 5:
			message.Error = string(value)
		case 6:
			message.Replied = flag != 0
		default:
			return fmt.Errorf("the unknown field %d", number)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return message, message.check()
}

func (m *KreNatsMessage) check() error {
	if m.TrackingID == "" || len(m.Tracking) == 0 || m.Payload == nil || m.Error != "" {
		return fmt.Errorf("an incomplete message: %+v", m)
	}
	if m.Tracking[0].NodeName != "entrypoint" {
		return fmt.Errorf("it did not come by the entrypoint: %+v", m.Tracking)
	}
	for _, stage := range m.Tracking {
		for _, moment := range []string{stage.Start, stage.End} {
			if parsed, err := time.Parse(Layout, moment); err != nil || parsed.Format(Layout) != moment {
				return fmt.Errorf("%q is no time", moment)
			}
		}
	}
	return nil
}

func fields(data []byte, take func(number protowire.Number, value []byte, flag uint64) error) error {
	for len(data) > 0 {
		number, kind, size := protowire.ConsumeTag(data)
		if size < 0 {
			return protowire.ParseError(size)
		}
		data = data[size:]
		var value []byte
		var flag uint64
		switch kind {
		case protowire.BytesType:
			value, size = protowire.ConsumeBytes(data)
		case protowire.VarintType:
			flag, size = protowire.ConsumeVarint(data)
		default:
			return fmt.Errorf("field %d is of the unexpected type %d", number, kind)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		data = data[size:]
		if err := take(number, value, flag); err != nil {
			return err
		}
	}
	return nil
}
