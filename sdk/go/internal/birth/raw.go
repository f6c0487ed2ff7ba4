package birth

import (
	"io"
	"syscall"
)

// raw is a socket with plain, blocking system calls. Waiting in one costs less than half of Go's poller, as
// long as no other goroutine has to run meanwhile.
type raw int

func (r raw) Read(room []byte) (int, error) {
	for {
		count, err := syscall.Read(int(r), room)
		if err != syscall.EINTR {
			return max(count, 0), err
		}
	}
}

// ReadNow reads the available bytes, and returns syscall.EAGAIN if there are none.
func (r raw) ReadNow(room []byte) (int, error) {
	count, _, err := syscall.Recvfrom(int(r), room, syscall.MSG_DONTWAIT)
	if err == syscall.EINTR {
		err = syscall.EAGAIN
	}
	return max(count, 0), err
}

func (r raw) Write(data []byte) (int, error) {
	written := 0
	for written < len(data) {
		count, err := syscall.Write(int(r), data[written:])
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return written, err
		}
		if count == 0 {
			return written, io.ErrUnexpectedEOF
		}
		written += count
	}
	return written, nil
}

func max(a, b int) int {
	if a > b {
		return a
	}
	return b
}
