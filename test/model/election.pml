/* election.pml: who may lead, and whose lease counts, as cnode/raft decides it, for spin to go through in full.
 *
 * Sources: Ongaro's thesis (3.4 votes, 3.10 transfer, 6.4 leases), Schultz, Dardik and Tripakis 2021 (configurations
 * without a log). Lines say which function of cnode/raft they stand for. What is left out is liveness (pre-vote, timeouts,
 * stickiness), named elections, and forming a cluster; the simulator has those.
 *
 * There is no time in it but an order: a voter's promise ends after the leader has stopped counting on it, because both
 * are measured from the sending of the heartbeat, and the bound on clock drift is in the lease (quorum.cpp, surely). So a
 * lease may run out whenever it likes, and a promise when nobody counts on it any more. Messages are facts that can be
 * used late or never, which is delay, loss, reordering and duplication.
 *
 * Asserted after each step: one leader for each term; one sure leader at a time, and none while what another one has told of
 * its lease is good, unless that one has handed over; who is sure has a greater token than who was sure before. run.sh
 * takes the rules out one by one (-DBREAK_...) and expects spin to find each one missing.
 */

#define N 3 /* nodes */
#define TERMS 3
#ifndef VERSIONS
#define VERSIONS 1 /* of the configuration, beside the first */
#endif
#ifndef TOLD
#define TOLD 1 /* whether leaders are asked, which is most of the states */
#endif

#define BIT(n) (1 << (n))
#define SIZE(m) (((m) & 1) + (((m) >> 1) & 1) + (((m) >> 2) & 1) + (((m) >> 3) & 1))
#define QUORUM(set, mask) (2 * SIZE((set) & (mask)) > SIZE(mask))

/* On disk. */
byte term[N];
byte voted[N]; /* n + 1 */
byte config_term[N];
byte config_version[N];
byte config[N]; /* its voters */

/* Told. A leader may have been asked how long its lease holds: what it told is good until then, though it has stopped. */
byte said[TERMS + 1];        /* by term: whose promises that rests on */
byte said_config[TERMS + 1]; /* whose majority they are */

/* In memory. */
byte leads[N]; /* the term that it leads, or 0 */
byte runs[N];  /* the term in which it is a candidate, or 0 */
byte permit[N]; /* the term whose leader called the candidate */
byte called[N]; /* the term whose leader has told it to take over */
byte promised[N]; /* the term to whose leader its promise holds, or 0 */
bool waits[N];    /* after a start, until what it promised before is over: vote_from_ */

/* Said, and known. By term. */
byte leader[TERMS + 1]; /* n + 1 */
byte granted[(TERMS + 1) * N]; /* [term * N + candidate]: who has voted so */
byte promising[TERMS + 1]; /* whose answer is under way, and its promise still good */
byte counted[TERMS + 1];   /* whose promise the leader counts on */
byte has_config[TERMS + 1]; /* who has answered that it has the leader's configuration */
byte last_sure;

byte n, m, t, to; /* of the step */

#define NEWER(a, b) \
  (config_term[a] > config_term[b] || (config_term[a] == config_term[b] && config_version[a] > config_version[b]))
#define SAME(a, b) (config_term[a] == config_term[b] && config_version[a] == config_version[b])
#define VOTER(x) (config[x] & BIT(x))
#define COUNTED (counted[1] | counted[2] | counted[3] | said[1] | said[2] | said[3])
#define UNDER_WAY (promising[1] | promising[2] | promising[3])
#define SURE(x) (leads[x] != 0 && QUORUM(counted[leads[x]] | BIT(x), config[x]))
#define SAID(of, x) (leader[of] != x + 1 && QUORUM(said[of], said_config[of]))

inline tell(x) {
  if
  :: TOLD && SURE(x) -> said[leads[x]] = counted[leads[x]] | BIT(x); said_config[leads[x]] = config[x]
  :: else
  fi
}

inline stop_leading(x) {
  if
  :: leads[x] != 0 ->
     tell(x);
#ifndef BREAK_OWN_VOTE
     promised[x] = leads[x];
#endif
     counted[leads[x]] = 0;
     promising[leads[x]] = 0;
     has_config[leads[x]] = 0;
     leads[x] = 0
  :: else
  fi
}

inline stop_running(x) {
  if
  :: runs[x] != 0 ->
     granted[runs[x] * N + x] = 0;
     runs[x] = 0;
     permit[x] = 0
  :: else
  fi
}

inline see_term(x, higher) { /* voting.cpp */
  stop_leading(x);
  stop_running(x);
  called[x] = 0;
  term[x] = higher;
  voted[x] = 0
}

inline adopt(x, from) { /* core.cpp: a leader does not */
  if
  :: NEWER(from, x) && leads[x] == 0 ->
     stop_running(x);
     config_term[x] = config_term[from];
     config_version[x] = config_version[from];
     config[x] = config[from];
     if
     :: config_term[x] > term[x] -> see_term(x, config_term[x])
     :: else
     fi
  :: else
  fi
}

inline stand(x, by) { /* voting.cpp, start_vote */
  stop_running(x);
  term[x]++;
  voted[x] = x + 1;
  runs[x] = term[x];
  permit[x] = by;
  called[x] = 0;
  granted[term[x] * N + x] = granted[term[x] * N + x] | BIT(x)
}

inline pick(x, below) {
  x = 0;
  do
  :: x + 1 < below -> x++
  :: break
  od
}

init {
  d_step {
    n = 0;
    do
    :: n < N -> config[n] = BIT(N) - 1; n++
    :: else -> break
    od;
    n = 0
  }
  do
  :: atomic {
       pick(n, N);
       pick(m, N);
       if
       /* election_due: the timeout, after its promise. */
       :: leads[n] == 0 && VOTER(n) && !waits[n] && promised[n] == 0 && term[n] < TERMS -> stand(n, 0)
       /* stand_again: a leader that heard of a later term, or is at its end. */
       :: leads[n] != 0 && VOTER(n) && !waits[n] && term[n] < TERMS -> stop_leading(n); stand(n, 0)
       /* ask_vote. */
       :: n != m && runs[n] != 0 && leads[m] == 0 && !waits[m] && runs[n] >= term[m] &&
#ifndef BREAK_PROMISE
          (promised[m] == 0 || permit[n] >= promised[m] || leader[promised[m]] == n + 1) &&
#endif
#ifndef BREAK_OLD_CONFIG
          !NEWER(m, n) &&
#endif
          (runs[n] > term[m] || voted[m] == 0) ->
          t = runs[n];
          if
          :: t > term[m] -> see_term(m, t)
          :: else
          fi;
          adopt(m, n);
          if
          :: t == term[m] && voted[m] == 0 ->
             stop_running(m);
             voted[m] = n + 1;
             granted[t * N + n] = granted[t * N + n] | BIT(m)
          :: else
          fi
       /* count_votes, become_leader. */
       :: runs[n] != 0 && VOTER(n) && QUORUM(granted[runs[n] * N + n], config[n]) ->
          t = runs[n];
          assert(leader[t] == 0); /* one leader for each term */
          leader[t] = n + 1;
          leads[n] = t;
          stop_running(n);
          called[n] = 0
       /* become_leader: the configuration is of its own term, when that is on disk. */
       :: leads[n] != 0 && config_term[n] < leads[n] -> config_term[n] = leads[n]; has_config[leads[n]] = 0
       /* A heartbeat, and the answer to it. */
       :: n != m && leads[n] != 0 && leads[n] >= term[m] && leads[m] != leads[n] ->
          t = leads[n];
          if
          :: t > term[m] -> see_term(m, t)
          :: else -> stop_running(m)
          fi;
          adopt(m, n);
          if
          :: VOTER(m) -> promised[m] = t; promising[t] = promising[t] | BIT(m)
          :: else
          fi;
          if
          :: SAME(m, n) -> has_config[t] = has_config[t] | BIT(m)
          :: else
          fi
       /* heartbeat_reply, recount. */
       :: leads[n] != 0 && (promising[leads[n]] & BIT(m)) != 0 ->
          counted[leads[n]] = counted[leads[n]] | BIT(m);
          promising[leads[n]] = promising[leads[n]] & ~BIT(m)
       /* The lease runs out, for one who promised. */
       :: leads[n] != 0 && (counted[leads[n]] & BIT(m)) != 0 ->
          counted[leads[n]] = counted[leads[n]] & ~BIT(m)
       /* What was told is over (there are as many terms as nodes). */
       :: said[n + 1] != 0 -> said[n + 1] = 0; said_config[n + 1] = 0
       /* A promise runs out. */
       :: promised[n] != 0 &&
#ifndef BREAK_ORDER
          (COUNTED & BIT(n)) == 0 &&
#endif
          true ->
          promised[n] = 0;
          t = 1;
          do
          :: t <= TERMS -> promising[t] = promising[t] & ~BIT(n); t++
          :: else -> break
          od
       /* vote_from_: what it promised before its start is over. */
       :: waits[n] ->
          t = 1;
          to = 0;
          do
          :: t <= TERMS ->
             if
             :: t != promised[n] -> to = to | counted[t] | said[t]
             :: else
             fi;
             t++
          :: else -> break
          od;
          if
          :: (to & BIT(n)) == 0 ->
             waits[n] = false;
             t = 1;
             do
             :: t <= TERMS ->
                if
                :: t != promised[n] -> promising[t] = promising[t] & ~BIT(n)
                :: else
                fi;
                t++
             :: else -> break
             od
          :: else
          fi;
          to = 0
       /* try_handover, and the one that is told. */
       :: n != m && leads[n] != 0 && config_term[n] == leads[n] && (config[n] & BIT(m)) != 0 &&
          (has_config[leads[n]] & BIT(m)) != 0 ->
          called[m] = leads[n];
#ifdef BREAK_HANDOVER
          skip
#else
          stop_leading(n);
          t = 1; /* what it told is over: that is what handing over means */
          do
          :: t <= TERMS ->
             if
             :: leader[t] == n + 1 -> said[t] = 0; said_config[t] = 0
             :: else
             fi;
             t++
          :: else -> break
          od
#endif
       :: called[n] != 0 && called[n] == term[n] && leads[n] == 0 && VOTER(n) && !waits[n] && term[n] < TERMS ->
          promised[n] = 0;
          t = called[n];
          stand(n, t)
       /* advance_changes: one voter more or less. */
       :: leads[n] != 0 && config_version[n] < VERSIONS && config_term[n] == leads[n] && n != m &&
#ifndef BREAK_COMMITTED
          QUORUM(has_config[leads[n]] | BIT(n), config[n]) &&
#endif
          true ->
          tell(n);
          config_version[n]++;
          config[n] = config[n] ^ BIT(m);
          has_config[leads[n]] = 0
       /* It hears of a later term. */
       :: term[m] > term[n] -> t = term[m]; see_term(n, t)
       /* 6.2: no majority answers. */
       :: leads[n] != 0 -> stop_leading(n)
       /* Killed and started. */
       :: true ->
          stop_leading(n);
          stop_running(n);
          called[n] = 0;
          promised[n] = 0;
#ifndef BREAK_WAIT
          waits[n] = true;
#endif
#ifdef BREAK_DISK
          voted[n] = 0
#else
          skip
#endif
       :: else
       fi;
       n = 0;
       m = 0;
       t = 0;
       do
       :: n < N ->
          if
          :: SURE(n) ->
             assert(t == 0); /* one at a time */
             assert(!SAID(1, n) && !SAID(2, n) && !SAID(3, n)); /* nor one that was told of */
             t = leads[n];
             assert(t >= last_sure); /* and the token grows */
             last_sure = t
          :: else
          fi;
          /* Nobody counts on it: waiting longer would only keep it from what it may do anyway. */
          if
          :: ((COUNTED | UNDER_WAY) & BIT(n)) == 0 -> promised[n] = 0; waits[n] = false
          :: else
          fi;
          n++
       :: else -> break
       od;
       n = 0;
       t = 0
     }
  od
}
