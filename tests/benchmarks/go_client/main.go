// A bare WebSocket client in Go, to compare with: the echo of a text, nothing recorded but times.
//
//	go_client -port PORT -sessions N -seconds S [-warmup S] [-rate R < PHASES] [-ca FILE]
//
// Without -rate it runs a closed loop: a session sends its next message as soon as the last came back.
// With it, an open loop: every session sends R messages a second at planned times, the first after its
// phase; standard input has a line for each session with its phase in nanoseconds. -ca FILE makes it wss
// (TLS 1.3), with the certificates to trust.
//
// CPU is the whole process's (getrusage), from the end of the warm-up, which begins when all sessions are
// up. It prints a line of JSON.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"sort"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	message = `{"sequence":12345,"text":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}`
	atOnce  = 500  // connects under way
	pending = 4096 // messages of a session without their answer
)

type figures struct {
	CPUUs     float64   `json:"cpu_us"`
	PerS      float64   `json:"per_s"`
	SlipUs    []float64 `json:"slip_us"` // null in a closed loop
	ServiceUs []float64 `json:"service_us"`
}

var (
	began     = time.Now()
	measuring atomic.Bool
)

func now() time.Duration { return time.Since(began) }

type session struct {
	*webSocket
	answered atomic.Int64
	service  []time.Duration
	// When messages left, in a ring: the server answers in order.
	sentAt   [pending]time.Duration
	sent     atomic.Int64
	received int64
}

func (s *session) send() {
	number := s.sent.Load()
	if number-s.answered.Load() >= pending {
		log.Fatalf("a session has %d messages without an answer", pending)
	}
	s.sentAt[number%pending] = now()
	s.sent.Store(number + 1)
	if err := s.sendText(message); err != nil {
		log.Fatal(err)
	}
}

func (s *session) receive() {
	text, err := s.receiveText()
	if err != nil {
		log.Fatal(err)
	}
	if string(text) != message {
		log.Fatalf("another text came back: %q", text)
	}
	took := now() - s.sentAt[s.answered.Load()%pending]
	s.answered.Add(1)
	if measuring.Load() {
		s.service = append(s.service, took)
	}
}

func (s *session) closedLoop() {
	for {
		s.send()
		s.receive()
	}
}

func (s *session) receiveForEver() {
	for {
		s.receive()
	}
}

// sendAsPlanned sends the messages of all sessions: their gaps are the same, so they take turns for ever.
func sendAsPlanned(sessions []*session, phases []time.Duration, gap time.Duration, slips *[]time.Duration) {
	turns := make([]int, len(sessions))
	for number := range turns {
		turns[number] = number
	}
	sort.Slice(turns, func(a, b int) bool { return phases[turns[a]] < phases[turns[b]] })
	for round := now(); ; round += gap {
		for _, number := range turns {
			due := round + phases[number]
			if early := due - now(); early > 0 {
				time.Sleep(early)
			}
			if measuring.Load() {
				*slips = append(*slips, now()-due)
			}
			sessions[number].send()
		}
	}
}

func connect(port int, trusted *tls.Config) (*session, error) {
	address := fmt.Sprintf("127.0.0.1:%d", port)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	if trusted != nil {
		conn = tls.Client(conn, trusted)
	}
	socket, err := upgrade(conn, address)
	if err != nil {
		return nil, err
	}
	return &session{webSocket: socket}, nil
}

func connectAll(port, number int, trusted *tls.Config) []*session {
	sessions, errors, turn := make([]*session, number), make(chan error, number), make(chan bool, atOnce)
	for at := range sessions {
		turn <- true
		go func(at int) {
			var err error
			sessions[at], err = connect(port, trusted)
			errors <- err
			<-turn
		}(at)
	}
	for range sessions {
		if err := <-errors; err != nil {
			log.Fatal(err)
		}
	}
	return sessions
}

func trust(file string) *tls.Config {
	if file == "" {
		return nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		log.Fatalf("%s has no certificates", file)
	}
	return &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS13}
}

func readPhases(number int) []time.Duration {
	phases, lines := make([]time.Duration, number), bufio.NewScanner(os.Stdin)
	for at := range phases {
		if !lines.Scan() {
			log.Fatalf("standard input must have a phase for each of %d sessions", number)
		}
		ns, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil {
			log.Fatal(err)
		}
		phases[at] = time.Duration(ns)
	}
	return phases
}

func cpu() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		log.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func allAnswered(sessions []*session) (total int64) {
	for _, each := range sessions {
		total += each.answered.Load()
	}
	return total
}

// quantiles returns p50 and p99 in microseconds.
func quantiles(times []time.Duration) []float64 {
	if len(times) == 0 {
		return nil
	}
	sort.Slice(times, func(a, b int) bool { return times[a] < times[b] })
	at := func(share float64) float64 { return float64(times[int(float64(len(times))*share)]) / 1e3 }
	return []float64{at(0.5), at(0.99)}
}

func main() {
	log.SetFlags(0)
	port := flag.Int("port", 0, "of the server on 127.0.0.1")
	number := flag.Int("sessions", 1, "to hold")
	seconds := flag.Float64("seconds", 1, "to measure")
	warmup := flag.Float64("warmup", 2, "seconds before that")
	rate := flag.Float64("rate", 0, "messages a second of a session; 0 for a closed loop")
	ca := flag.String("ca", "", "certificates to trust (PEM): makes it wss")
	flag.Parse()

	var phases []time.Duration
	if *rate > 0 {
		phases = readPhases(*number)
	}
	sessions := connectAll(*port, *number, trust(*ca))

	var slips []time.Duration
	for _, each := range sessions {
		if *rate > 0 {
			go each.receiveForEver()
		} else {
			go each.closedLoop()
		}
	}
	if *rate > 0 {
		go sendAsPlanned(sessions, phases, time.Duration(float64(time.Second) / *rate), &slips)
	}
	time.Sleep(time.Duration(*warmup * float64(time.Second)))
	before, at, used := allAnswered(sessions), now(), cpu()
	measuring.Store(true)
	time.Sleep(time.Duration(*seconds * float64(time.Second)))
	answered, took, used := allAnswered(sessions)-before, now()-at, cpu()-used
	measuring.Store(false)
	time.Sleep(50 * time.Millisecond) // whoever saw it true has appended its time by then

	var service []time.Duration
	for _, each := range sessions {
		service = append(service, each.service...)
	}
	if err := json.NewEncoder(os.Stdout).Encode(figures{
		CPUUs:     used.Seconds() * 1e6 / float64(answered),
		PerS:      float64(answered) / took.Seconds(),
		SlipUs:    quantiles(slips),
		ServiceUs: quantiles(service),
	}); err != nil {
		log.Fatal(err)
	}
}
