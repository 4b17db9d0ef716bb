/* raw_ei: the least that a C node can be, as the yardstick of the benchmark: ei's own blocking connect half,
 * one connection at a time, one loop that receives, decodes just enough to answer, and sends.
 *
 *   {'$gen_call', {Pid, Tag}, {echo, X}}   -> Pid ! {Tag, X}
 *   {From, Msg}                            -> From ! {echo, Msg}
 *
 * Usage: raw_ei NAME@127.0.0.1 (cookie in REMORA_COOKIE, epmd's port in ERL_EPMD_PORT). Prints the same ready
 * line as remora. Ends when its standard input closes or on SIGTERM. */
#include <arpa/inet.h>
#include <ei.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void fail(const char *what) {
  fprintf(stderr, "raw_ei: %s (erl_errno %d)\n", what, erl_errno);
  exit(1);
}

static void *lifeline(void *unused) {
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  (void)unused;
  _exit(0);
}

/* Copies the term at *index as it is: a tag or a payload is echoed, not understood. */
static int copy_term(ei_x_buff *to, const char *bytes, int *index) {
  int start = *index;
  if (ei_skip_term(bytes, index) < 0) return -1;
  return ei_x_append_buf(to, bytes + start, *index - start);
}

/* {'$gen_call', {Pid, Tag}, {echo, X}}, behind the atom. */
static int answer_call(const char *in, int *index, erlang_pid *to, ei_x_buff *out) {
  int arity;
  char atom[MAXATOMLEN_UTF8];
  if (ei_decode_tuple_header(in, index, &arity) < 0 || arity != 2) return -1;
  if (ei_decode_pid(in, index, to) < 0) return -1;
  ei_x_encode_tuple_header(out, 2);
  if (copy_term(out, in, index) < 0) return -1;
  if (ei_decode_tuple_header(in, index, &arity) < 0 || arity != 2) return -1;
  if (ei_decode_atom(in, index, atom) < 0) return -1;
  return copy_term(out, in, index);
}

/* {From, Msg}, in front of From. */
static int answer_echo(const char *in, int *index, erlang_pid *to, ei_x_buff *out) {
  if (ei_decode_pid(in, index, to) < 0) return -1;
  ei_x_encode_tuple_header(out, 2);
  ei_x_encode_atom(out, "echo");
  return copy_term(out, in, index);
}

static int answer(const char *in, erlang_pid *to, ei_x_buff *out) {
  int index = 0, version, arity, type, size;
  char atom[MAXATOMLEN_UTF8];
  if (ei_decode_version(in, &index, &version) < 0) return -1;
  if (ei_decode_tuple_header(in, &index, &arity) < 0) return -1;
  if (ei_get_type(in, &index, &type, &size) < 0) return -1;
  ei_x_encode_version(out);
  if (arity == 2 && (type == ERL_PID_EXT || type == ERL_NEW_PID_EXT)) return answer_echo(in, &index, to, out);
  if (arity != 3 || ei_decode_atom(in, &index, atom) < 0 || strcmp(atom, "$gen_call") != 0) return -1;
  return answer_call(in, &index, to, out);
}

static void serve(int fd) {
  ei_x_buff in, out;
  erlang_msg msg;
  erlang_pid to;
  ei_x_new(&in);
  ei_x_new(&out);
  for (;;) {
    int got;
    in.index = 0;
    got = ei_xreceive_msg(fd, &msg, &in);
    if (got == ERL_TICK) continue;
    if (got == ERL_ERROR) break;
    if (msg.msgtype != ERL_SEND && msg.msgtype != ERL_REG_SEND) continue;
    out.index = 0;
    if (answer(in.buff, &to, &out) == 0 && ei_send(fd, &to, out.buff, out.index) < 0) break;
  }
  ei_x_free(&in);
  ei_x_free(&out);
  close(fd);
}

int main(int argc, char **argv) {
  ei_cnode node;
  struct in_addr address;
  pthread_t watcher;
  char name[MAXNODELEN];
  int port = 0, listener;
  if (argc != 2 || strchr(argv[1], '@') == NULL) {
    fprintf(stderr, "usage: raw_ei NAME@127.0.0.1\n");
    return 2;
  }
  snprintf(name, sizeof name, "%.*s", (int)strcspn(argv[1], "@"), argv[1]);
  inet_aton("127.0.0.1", &address);
  ei_init();
  if (ei_connect_xinit(&node, "127.0.0.1", name, argv[1], &address, getenv("REMORA_COOKIE"), 1) < 0)
    fail("ei_connect_xinit");
  if ((listener = ei_listen(&node, &port, 5)) < 0) fail("ei_listen");
  if (ei_publish(&node, port) < 0) fail("ei_publish: is epmd there?");
  pthread_create(&watcher, NULL, lifeline, NULL);
  printf("{\"event\":\"ready\",\"node\":\"%s\",\"port\":%d,\"creation\":1,\"version\":\"raw\"}\n", argv[1], port);
  fflush(stdout);
  for (;;) {
    ErlConnect peer;
    int fd = ei_accept(&node, listener, &peer);
    if (fd >= 0) serve(fd);
  }
}
