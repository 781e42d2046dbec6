package main

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	weak "math/rand"
	"net"
	"net/http"
)

const (
	opText    = 0x1
	finBit    = 0x80
	maskBit   = 0x80
	acceptKey = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455, section 1.3
)

// webSocket is a client's side of a connection: one goroutine may read while one writes.
type webSocket struct {
	conn    net.Conn
	reader  *bufio.Reader
	masks   *weak.Rand
	frame   []byte
	payload []byte
}

// upgrade asks for a WebSocket on an open connection (RFC 6455, section 4.1).
func upgrade(conn net.Conn, host string) (*webSocket, error) {
	nonce := make([]byte, 24)
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	key := base64.StdEncoding.EncodeToString(nonce[:16])
	_, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n", host, key)
	if err != nil {
		return nil, err
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return nil, err
	}
	digest := sha1.Sum([]byte(key + acceptKey))
	accept := base64.StdEncoding.EncodeToString(digest[:])
	if response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Sec-WebSocket-Accept") != accept {
		return nil, fmt.Errorf("the server refused the WebSocket: %s", response.Status)
	}
	seed := int64(binary.LittleEndian.Uint64(nonce[16:]))
	return &webSocket{conn: conn, reader: reader, masks: weak.New(weak.NewSource(seed))}, nil
}

// sendText writes a masked text frame of less than 64 KiB in one write.
func (socket *webSocket) sendText(text string) error {
	frame := append(socket.frame[:0], finBit|opText)
	if len(text) < 126 {
		frame = append(frame, maskBit|byte(len(text)))
	} else {
		frame = append(frame, maskBit|126)
		frame = binary.BigEndian.AppendUint16(frame, uint16(len(text)))
	}
	mask := socket.masks.Uint32()
	frame = binary.LittleEndian.AppendUint32(frame, mask)
	head := len(frame)
	frame = append(frame, text...)
	maskBytes(frame[head:], mask)
	socket.frame = frame
	_, err := socket.conn.Write(frame)
	return err
}

// maskBytes masks eight bytes at a time (RFC 6455, section 5.3).
func maskBytes(payload []byte, mask uint32) {
	wide := uint64(mask)<<32 | uint64(mask)
	for len(payload) >= 8 {
		binary.LittleEndian.PutUint64(payload, binary.LittleEndian.Uint64(payload)^wide)
		payload = payload[8:]
	}
	for at := range payload {
		payload[at] ^= byte(mask >> (8 * (at % 4)))
	}
}

// receiveText reads a whole text frame; what it returns holds until the next call.
func (socket *webSocket) receiveText() ([]byte, error) {
	head, err := socket.reader.Peek(2)
	if err != nil {
		return nil, err
	}
	if head[0] != finBit|opText {
		return nil, fmt.Errorf("a frame that an echo server does not send: first byte %#x", head[0])
	}
	length, size := int(head[1]), 2
	if length == 126 {
		if head, err = socket.reader.Peek(4); err != nil {
			return nil, err
		}
		length, size = int(binary.BigEndian.Uint16(head[2:])), 4
	} else if length > 126 {
		return nil, fmt.Errorf("a frame that is masked or too long: length %#x", length)
	}
	if _, err := socket.reader.Discard(size); err != nil {
		return nil, err
	}
	if cap(socket.payload) < length {
		socket.payload = make([]byte, length)
	}
	socket.payload = socket.payload[:length]
	_, err = io.ReadFull(socket.reader, socket.payload)
	return socket.payload, err
}
