// SPDX-License-Identifier: Apache-2.0

// Package kfake stands in for franz-go's simulated cluster: the same calls, and appia-mqs behind them. Each cluster is a
// broker of its own behind a proxy, which can answer requests itself where a test wants that. The program is in
// APPIA_MQS.
package kfake

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

type seed struct {
	n      int32
	topics []string
}

type config struct {
	env   []string
	seeds []seed
}

// Opt is an option of NewCluster.
type Opt func(*config)

// NumBrokers is there for the callers: it is always one.
func NumBrokers(int) Opt { return func(*config) {} }

// SeedTopics are made before the cluster is used.
func SeedTopics(n int32, topics ...string) Opt {
	return func(c *config) { c.seeds = append(c.seeds, seed{n, topics}) }
}

// BrokerConfigs sets what appia-mqs has a setting for; others panic.
func BrokerConfigs(m map[string]string) Opt {
	return func(c *config) {
		for k, v := range m {
			name, unit := "", "ms"
			switch k {
			case "group.consumer.heartbeat.interval.ms":
				name = "GROUP_HEARTBEAT"
			case "group.consumer.session.timeout.ms":
				name = "GROUP_SESSION"
			case "group.max.size":
				name, unit = "GROUP_MEMBERS", ""
			default:
				panic("no setting for " + k)
			}
			c.env = append(c.env, "APPIA_MQS_"+name+"="+v+unit)
		}
	}
}

// Control answers a request, or lets it pass.
type Control func(kmsg.Request) (kmsg.Response, error, bool)

type control struct {
	keys map[int16]bool
	fn   Control
}

// Cluster is a broker and its proxy.
type Cluster struct {
	broker, proxy string
	listener      net.Listener
	cmd           *exec.Cmd
	home          string
	cl            *kgo.Client
	adm           *kadm.Client

	mu       sync.Mutex
	controls []control
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// NewCluster starts a broker.
func NewCluster(opts ...Opt) (*Cluster, error) {
	var cfg config
	for _, o := range opts {
		o(&cfg)
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	home, err := os.MkdirTemp("", "appia-conformance-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{broker: "127.0.0.1:" + strconv.Itoa(port), home: home}
	c.cmd = exec.Command(os.Getenv("APPIA_MQS"), "--home", home)
	c.cmd.Env = append(append(os.Environ(), "APPIA_MQS_SASL_PORT=0", "APPIA_MQS_REBALANCE_DELAY=0ms",
		"APPIA_MQS_PORT="+strconv.Itoa(port)), cfg.env...)
	log, err := os.Create(home + "/log")
	if err != nil {
		return nil, err
	}
	c.cmd.Stderr = log
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", c.broker)
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("the broker does not come: %w", err)
		}
	}
	if c.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	c.proxy = c.listener.Addr().String()
	go c.accept()
	if c.cl, err = kgo.NewClient(kgo.SeedBrokers(c.broker)); err != nil {
		return nil, err
	}
	c.adm = kadm.NewClient(c.cl)
	for _, s := range cfg.seeds {
		got, err := c.adm.CreateTopics(context.Background(), s.n, 1, nil, s.topics...)
		if err == nil {
			err = got.Error()
		}
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Close ends the broker, which has to end well.
func (c *Cluster) Close() {
	c.adm.Close()
	c.listener.Close()
	c.cmd.Process.Signal(syscall.SIGTERM)
	if err := c.cmd.Wait(); err != nil {
		log, _ := os.ReadFile(c.home + "/log")
		panic(fmt.Sprintf("the broker ended with %v: %s", err, log))
	}
	os.RemoveAll(c.home)
}

// ListenAddrs is where clients connect to.
func (c *Cluster) ListenAddrs() []string { return []string{c.proxy} }

// ControlKey sees the requests of a key until it has answered one.
func (c *Cluster) ControlKey(key int16, fn func(kmsg.Request) (kmsg.Response, error, bool)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.controls = append(c.controls, control{map[int16]bool{key: true}, fn})
}

// Fault answers one request with an error.
type Fault struct {
	Keys []kmsg.Key
	Err  *kerr.Error
	When func(kmsg.Request) bool
}

// Fault answers the next request that fits with an error.
func (c *Cluster) Fault(f Fault) {
	for _, key := range f.Keys {
		c.ControlKey(int16(key), func(req kmsg.Request) (kmsg.Response, error, bool) {
			if f.When != nil && !f.When(req) {
				return nil, nil, false
			}
			resp := req.ResponseKind()
			switch r := resp.(type) {
			case *kmsg.ConsumerGroupHeartbeatResponse:
				r.ErrorCode = f.Err.Code
			default:
				panic("no fault for this key")
			}
			return resp, nil, true
		})
	}
}

func (c *Cluster) controlled(req kmsg.Request) (kmsg.Response, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, ctl := range c.controls {
		if !ctl.keys[req.Key()] {
			continue
		}
		if resp, _, handled := ctl.fn(req); handled {
			c.controls = append(c.controls[:i:i], c.controls[i+1:]...)
			return resp, true
		}
	}
	return nil, false
}

// ---- the proxy

func (c *Cluster) accept() {
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp", c.broker)
		if err != nil {
			conn.Close()
			continue
		}
		p := &pipe{c: c, down: conn, up: up, asked: map[int32]kmsg.Request{}}
		go p.requests()
		go p.responses()
	}
}

type pipe struct {
	c        *Cluster
	down, up net.Conn
	mu       sync.Mutex // asked, writes to down
	asked    map[int32]kmsg.Request
}

func frame(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	data := make([]byte, binary.BigEndian.Uint32(size[:]))
	_, err := io.ReadFull(r, data)
	return data, err
}

func send(w io.Writer, data []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...))
	return err
}

func parse(data []byte) (kmsg.Request, int32, error) {
	b := kbin.Reader{Src: data}
	key, version, correlation := b.Int16(), b.Int16(), b.Int32()
	b.NullableString()
	req := kmsg.RequestForKey(key)
	if req == nil || version > req.MaxVersion() {
		return nil, correlation, nil
	}
	req.SetVersion(version)
	if req.IsFlexible() {
		kmsg.SkipTags(&b)
	}
	return req, correlation, req.ReadFrom(b.Src)
}

func (p *pipe) requests() {
	defer p.up.Close()
	for {
		data, err := frame(p.down)
		if err != nil {
			return
		}
		req, correlation, err := parse(data)
		if err == nil && req != nil {
			if resp, ok := p.c.controlled(req); ok {
				resp.SetVersion(req.GetVersion())
				p.mu.Lock()
				p.answer(correlation, resp)
				p.mu.Unlock()
				continue
			}
			switch req.(type) {
			case *kmsg.MetadataRequest, *kmsg.FindCoordinatorRequest, *kmsg.DescribeClusterRequest:
				p.mu.Lock()
				p.asked[correlation] = req
				p.mu.Unlock()
			}
		}
		if send(p.up, data) != nil {
			return
		}
	}
}

func (p *pipe) answer(correlation int32, resp kmsg.Response) {
	out := binary.BigEndian.AppendUint32(nil, uint32(correlation))
	if resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
		out = append(out, 0)
	}
	send(p.down, resp.AppendTo(out))
}

// responses name the proxy where the broker names itself.
func (p *pipe) responses() {
	defer p.down.Close()
	host, text, _ := net.SplitHostPort(p.c.proxy)
	number, _ := strconv.Atoi(text)
	port := int32(number)
	for {
		data, err := frame(p.up)
		if err != nil {
			return
		}
		correlation := int32(binary.BigEndian.Uint32(data))
		p.mu.Lock()
		req := p.asked[correlation]
		delete(p.asked, correlation)
		if req == nil {
			send(p.down, data)
			p.mu.Unlock()
			continue
		}
		resp := req.ResponseKind()
		body := data[4:]
		if resp.IsFlexible() {
			body = body[1:]
		}
		if err := resp.ReadFrom(body); err != nil {
			panic(err)
		}
		switch r := resp.(type) {
		case *kmsg.MetadataResponse:
			for i := range r.Brokers {
				r.Brokers[i].Host, r.Brokers[i].Port = host, port
			}
		case *kmsg.FindCoordinatorResponse:
			r.Host, r.Port = host, port
			for i := range r.Coordinators {
				r.Coordinators[i].Host, r.Coordinators[i].Port = host, port
			}
		case *kmsg.DescribeClusterResponse:
			for i := range r.Brokers {
				r.Brokers[i].Host, r.Brokers[i].Port = host, port
			}
		}
		p.answer(correlation, resp)
		p.mu.Unlock()
	}
}

// ---- what tests look at

// GroupInfo is a group at one moment.
type GroupInfo struct {
	Group, State string
	Epoch        int32
	Members      []GroupMember
	Commits      map[string]map[int32]GroupCommit
}

// GroupCommit is one committed offset.
type GroupCommit struct {
	Offset      int64
	LeaderEpoch int32
	Metadata    string
}

// GroupMember is a member of a group.
type GroupMember struct {
	MemberID   string
	InstanceID *string
	Assignment map[string][]int32
}

// NumAssigned counts partitions.
func (m *GroupMember) NumAssigned() int {
	n := 0
	for _, v := range m.Assignment {
		n += len(v)
	}
	return n
}

// NumAssigned counts partitions of all members.
func (g *GroupInfo) NumAssigned() int {
	n := 0
	for i := range g.Members {
		n += g.Members[i].NumAssigned()
	}
	return n
}

func (c *Cluster) consumerGroup(ctx context.Context, group string) *GroupInfo {
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups = []string{group}
	resp, err := req.RequestWith(ctx, c.cl)
	if err != nil || len(resp.Groups) != 1 || resp.Groups[0].ErrorCode != 0 {
		return nil
	}
	g := resp.Groups[0]
	i := &GroupInfo{Group: group, State: g.State, Epoch: g.Epoch}
	for _, m := range g.Members {
		to := GroupMember{MemberID: m.MemberID, InstanceID: m.InstanceID, Assignment: map[string][]int32{}}
		for _, t := range m.Assignment.TopicPartitions {
			to.Assignment[t.Topic] = append(to.Assignment[t.Topic], t.Partitions...)
		}
		i.Members = append(i.Members, to)
	}
	return i
}

func (c *Cluster) classicGroup(ctx context.Context, group string) *GroupInfo {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{group}
	resp, err := req.RequestWith(ctx, c.cl)
	if err != nil || len(resp.Groups) != 1 || resp.Groups[0].ErrorCode != 0 || resp.Groups[0].State == "Dead" {
		return nil
	}
	g := resp.Groups[0]
	i := &GroupInfo{Group: group, State: g.State}
	for _, m := range g.Members {
		to := GroupMember{MemberID: m.MemberID, InstanceID: m.InstanceID, Assignment: map[string][]int32{}}
		var a kmsg.ConsumerMemberAssignment
		if a.ReadFrom(m.MemberAssignment) == nil {
			for _, t := range a.Topics {
				to.Assignment[t.Topic] = append(to.Assignment[t.Topic], t.Partitions...)
			}
		}
		i.Members = append(i.Members, to)
	}
	return i
}

// GroupInfo is nil where there is no such group.
func (c *Cluster) GroupInfo(group string) *GroupInfo {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	i := c.consumerGroup(ctx, group)
	if i == nil {
		i = c.classicGroup(ctx, group)
	}
	if i == nil {
		return nil
	}
	i.Commits = map[string]map[int32]GroupCommit{}
	offsets, err := c.adm.FetchOffsets(ctx, group)
	if err != nil {
		return i
	}
	offsets.Each(func(o kadm.OffsetResponse) {
		if i.Commits[o.Topic] == nil {
			i.Commits[o.Topic] = map[int32]GroupCommit{}
		}
		i.Commits[o.Topic][o.Partition] = GroupCommit{o.At, o.LeaderEpoch, o.Metadata}
	})
	return i
}

// WaitGroupStable waits for a stable group of so many members.
func (c *Cluster) WaitGroupStable(ctx context.Context, group string, members int) (*GroupInfo, error) {
	for {
		g := c.GroupInfo(group)
		if g != nil && g.State == "Stable" && (members < 0 || len(g.Members) == members) {
			return g, nil
		}
		select {
		case <-ctx.Done():
			return g, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}
