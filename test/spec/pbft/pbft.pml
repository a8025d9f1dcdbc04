/*
 * The agreement of one height (protocol 2.2-2.6, 2.8), four validators of which BYZ lies, VIEWS views.
 *
 * Messages that were signed are never unsaid: the network is the set of all of them, and who acts on one acts on any of
 * them at any time or never. That covers delay, loss, repetition and order. The liar has signed everything
 * that it could sign: a quorum of three needs two honest votes. A certificate exists as soon as its votes do.
 *
 * Time is not modelled: a clock may give any next view at any moment. What a crash takes is what is not in the guard:
 * the highest certificate above the lock's, and which blocks were executed.
 *
 * Blocks are numbers: 1 + v is the fresh block of view v, 1 + VIEWS the liar's second one for a view of its own.
 *
 * Options: -DNOLOCK, -DFORGET, -DSUMVIEWS, -DANYQUORUM, -DHEARQ plant the faults that the tests expect to be found; -DTRACE prints a run
 * for the replay.
 */
#ifndef BYZ
#define BYZ 1
#endif
#ifndef VIEWS
#define VIEWS 3
#endif
#ifndef CRASHES
#define CRASHES 1
#endif

#define NONE 0
#define PROPOSER(v) (((v) + 1) % 4)
#define AT(i, v) ((i) * VIEWS + (v))
#define HONEST(i) ((i) != BYZ)
#define SECOND (VIEWS + 1)

/* 2.8: durable. The view is durable since whoever enters one signs its ViewChange. */
byte view[4];
byte prepared[4 * VIEWS];
bit committed[4 * VIEWS];

/* Volatile: 1 + view of the highest prepare certificate that is known, and the blocks that were executed, as bits. */
byte high[4];
byte executed[4];

/* What an honest proposer signed: NONE, 1: its fresh block, 2 + w: the block of the certificate of view w. */
byte proposed[VIEWS];

/* Ghosts, functions of the votes: the block that has a prepare quorum in a view, and a commit quorum at all. */
byte certified[VIEWS];
byte decided;

byte crashes;

/* 1 + view of the lock: the highest view that was committed to. */
#if VIEWS == 2
#define LOCK(i) (committed[AT(i, 1)] -> 2 : (committed[AT(i, 0)] -> 1 : 0))
#elif VIEWS == 3
#define LOCK(i) (committed[AT(i, 2)] -> 3 : (committed[AT(i, 1)] -> 2 : (committed[AT(i, 0)] -> 1 : 0)))
#else
#define LOCK(i) (committed[AT(i, 3)] -> 4 : (committed[AT(i, 2)] -> 3 : (committed[AT(i, 1)] -> 2 : (committed[AT(i, 0)] -> 1 : 0))))
#endif
#define LOCKED(i) (LOCK(i) == 0 -> NONE : certified[LOCK(i) - 1])

/* The block of a proposal with certificate view w - 1; w == 0: the fresh one. */
#define BLOCK(v, w) ((w) == 0 -> 1 + (v) : certified[(w) - 1])

/* 2.2: whether PrePrepare(v, b, w) is or can be signed by the view's proposer. */
#define SIGNED(v, b, w) (PROPOSER(v) == BYZ \
  -> ((w) == 0 -> ((b) == 1 + (v) || (b) == SECOND) : (w) <= (v) && certified[(w) - 1] != NONE && (b) == certified[(w) - 1]) \
  : proposed[v] == 1 + (w) && (b) == BLOCK(v, w))

/* 2.3 */
#ifdef NOLOCK
#define ALLOWED(i, b, w) true
#else
#define ALLOWED(i, b, w) (LOCK(i) == 0 || LOCKED(i) == (b) || (w) > LOCK(i))
#endif
#define OFFERED(i, b, w) (HONEST(i) && prepared[AT(i, view[i])] == NONE && SIGNED(view[i], b, w))

#ifdef ANYQUORUM
#define ENOUGH 1
#else
#define ENOUGH 2
#endif
#define HAS(i, v, b) (HONEST(i) && prepared[AT(i, v)] == (b))
#define PREPARES(v, b) (HAS(0, v, b) + HAS(1, v, b) + HAS(2, v, b) + HAS(3, v, b))
#define COMMITS(v) (committed[AT(0, v)] + committed[AT(1, v)] + committed[AT(2, v)] + committed[AT(3, v)])

/* A block that was prepared or committed to is in the guard, over crashes too. */
#define KEEPS(i, v, b) (prepared[AT(i, v)] == (b) || (committed[AT(i, v)] && certified[v] == (b)))
#if VIEWS == 2
#define held(i, b) (KEEPS(i, 0, b) || KEEPS(i, 1, b))
#elif VIEWS == 3
#define held(i, b) (KEEPS(i, 0, b) || KEEPS(i, 1, b) || KEEPS(i, 2, b))
#else
#define held(i, b) (KEEPS(i, 0, b) || KEEPS(i, 1, b) || KEEPS(i, 2, b) || KEEPS(i, 3, b))
#endif

byte a, k, w;

/* A run chosen at random would be through its views before a quorum is met: there, leaving a view takes some turns. */
#ifdef TRACE
#define PATIENCE 6
#define RESTLESS patience = 0
byte patience;
#else
#define PATIENCE 0
#define patience 0
#define RESTLESS skip
#endif

#ifdef TRACE
/* Every proposal that a node could act on now, and whether the rules allow it. */
inline offer(i, b) {
  k = 0;
  do
  :: k > view[i] -> break
  :: else ->
    if
    :: OFFERED(i, b, k) ->
      printf("? %d %d %d %d\n", i, b, k, ALLOWED(i, b, k))
    :: else
    fi;
    k++
  od
}
inline offers() {
  a = 0;
  do
  :: a > 3 -> break
  :: else ->
    w = 1;
    do
    :: w > SECOND -> break
    :: else -> offer(a, w); w++
    od;
    a++
  od;
  a = 0; k = 0; w = 0
}
#else
#define offers() skip
#endif

/* Agreement: every commit quorum there is, in any view, is for one block. */
inline decide(v) {
#ifdef SUMVIEWS
  if
  :: COMMITS(0) + COMMITS(1) >= 2 && certified[v] != NONE ->
#else
  if
  :: COMMITS(v) >= ENOUGH ->
#endif
    assert(decided == NONE || decided == certified[v]);
    decided = certified[v]
  :: else
  fi
}

inline commit(i, v) {
  committed[AT(i, v)] = 1;
  printf("! commit %d %d %d\n", i, v, certified[v]);
  decide(v)
}

inline vote(i, b) {
  prepared[AT(i, view[i])] = b;
  executed[i] = executed[i] | (1 << (b));
  if
  :: PREPARES(view[i], b) >= ENOUGH ->
    assert(certified[view[i]] == NONE || certified[view[i]] == b);
    certified[view[i]] = b
  :: else
  fi
}

#define OWN(i) BLOCK(view[i], proposed[view[i]] - 1)

/* What a node does at once, without hearing anything more. */
inline react(i) {
  /* 2.5: the certificate of the view before ends the proposer's wait, if it holds the block. */
  if
  :: PROPOSER(view[i]) == i && proposed[view[i]] == NONE && view[i] > 0 && high[i] == view[i] && held(i, certified[high[i] - 1]) ->
    proposed[view[i]] = 1 + high[i];
    printf("! propose %d %d %d\n", i, view[i], high[i])
  :: else
  fi;
  /* 2.3: its own proposal needs no message. */
  if
  :: PROPOSER(view[i]) == i && proposed[view[i]] != NONE && prepared[AT(i, view[i])] == NONE && (executed[i] & (1 << OWN(i))) && ALLOWED(i, OWN(i), proposed[view[i]] - 1) ->
    printf("! prepare %d %d %d %d\n", i, view[i], OWN(i), proposed[view[i]] - 1);
    vote(i, OWN(i))
  :: else
  fi;
  /* 2.4: a quorum of the present view over an executed block is committed to. */
  if
  :: high[i] == view[i] + 1 && !committed[AT(i, view[i])] && (executed[i] & (1 << certified[view[i]])) -> commit(i, view[i])
  :: else
  fi
}

/*
 * 2.5, progress after healing: a proposer that heard of every honest certificate re-proposes the highest, and no honest lock may
 * forbid that. With -DHEARQ it does not wait for the third honest ViewChange, because the liar's came first.
 */
#define TOP(x, y) ((x) > (y) -> (x) : (y))
#define OPEN(i, h) (LOCK(i) == 0 || (h) > LOCK(i) || ((h) != 0 && LOCKED(i) == certified[(h) - 1]))
#define ALL_OPEN(h) (OPEN(0, h) && OPEN(1, h) && OPEN(2, h) && OPEN(3, h))
#ifdef HEARQ
#define UNHEARD (BYZ == 0 -> 1 : 0)
#else
#define UNHEARD BYZ
#endif
inline progress() {
  k = TOP(TOP((UNHEARD == 0 -> 0 : high[0]), (UNHEARD == 1 -> 0 : high[1])), TOP(high[2], high[3]));
  assert(ALL_OPEN(k));
  k = 0
}

#define ENTER(i) \
  :: d_step { HONEST(i) && view[i] + 1 < VIEWS && patience == PATIENCE -> \
    RESTLESS; view[i]++; printf("@ enter %d %d\n", i, view[i]); react(i); offers(); progress() }

#define LEARN(i, v) \
  :: d_step { HONEST(i) && v <= view[i] && certified[v] != NONE && high[i] < v + 1 -> \
    printf("@ learn %d %d %d\n", i, v, certified[v]); high[i] = v + 1; react(i); offers(); progress() }

/* The block of the highest certificate comes late. */
#define FETCH(i) \
  :: d_step { HONEST(i) && high[i] == view[i] + 1 && !(executed[i] & (1 << certified[view[i]])) && !committed[AT(i, view[i])] -> \
    printf("@ fetch %d %d\n", i, certified[view[i]]); executed[i] = executed[i] | (1 << certified[view[i]]); react(i); offers(); progress() }

#define PROPOSE(v) \
  :: d_step { HONEST(PROPOSER(v)) && view[PROPOSER(v)] == v && proposed[v] == NONE && high[PROPOSER(v)] < v + 1 -> \
    proposed[v] = 1 + high[PROPOSER(v)]; \
    printf("@ propose %d %d %d\n", PROPOSER(v), v, high[PROPOSER(v)]); react(PROPOSER(v)); offers(); progress() }

#define PREPARE(i, b, c) \
  :: d_step { OFFERED(i, b, c) && ALLOWED(i, b, c) -> \
    printf("@ prepare %d %d %d %d\n", i, view[i], b, c); \
    vote(i, b); \
    if :: (c) > high[i] -> high[i] = c :: else fi; \
    react(i); offers(); progress() }

#ifdef FORGET
#define LOSE(i) a = 0; do :: a == VIEWS -> break :: else -> committed[AT(i, a)] = 0; a++ od; a = 0
#else
#define LOSE(i) skip
#endif
#define CRASH(i) \
  :: d_step { HONEST(i) && crashes < CRASHES && (high[i] != LOCK(i) || executed[i] != 0) -> \
    crashes++; printf("@ crash %d %d\n", i, LOCK(i)); LOSE(i); high[i] = LOCK(i); executed[i] = 0; react(i); offers(); progress() }

#if VIEWS == 4
#define VIEW3(m, i) m(i, 3)
#else
#define VIEW3(m, i)
#endif
#if VIEWS > 2
#define VIEW2(m, i) m(i, 2)
#else
#define VIEW2(m, i)
#endif
#define EACH_VIEW(m, i) m(i, 0) m(i, 1) VIEW2(m, i) VIEW3(m, i)

#define PREPARE_W(i, b) PREPARE(i, b, 0) PREPARE(i, b, 1) PREPARE_W2(i, b) PREPARE_W3(i, b)
#if VIEWS > 2
#define PREPARE_W2(i, b) PREPARE(i, b, 2)
#else
#define PREPARE_W2(i, b)
#endif
#if VIEWS > 3
#define PREPARE_W3(i, b) PREPARE(i, b, 3)
#define PREPARE_B4(i) PREPARE_W(i, 5)
#else
#define PREPARE_W3(i, b)
#define PREPARE_B4(i)
#endif
#if VIEWS > 2
#define PREPARE_B3(i) PREPARE_W(i, 4)
#else
#define PREPARE_B3(i)
#endif
#define PREPARES_OF(i) PREPARE_W(i, 1) PREPARE_W(i, 2) PREPARE_W(i, 3) PREPARE_B3(i) PREPARE_B4(i)

#define NODE(i) ENTER(i) EACH_VIEW(LEARN, i) FETCH(i) PREPARES_OF(i) CRASH(i)

active proctype world() {
  d_step { offers(); progress() }
  do
  NODE(0)
  NODE(1)
  NODE(2)
  NODE(3)
  PROPOSE(0)
  PROPOSE(1)
#if VIEWS > 2
  PROPOSE(2)
#endif
#if VIEWS > 3
  PROPOSE(3)
#endif
  od
}
