/**
 * How far a frame has come. While it is `committing`, COMMIT or RELEASE is on its way, so nothing can take
 * the frame back any more.
 */
export type Phase = 'open' | 'ending' | 'committing' | EndPhase

/** The ways in which a frame ends. */
export type EndPhase = 'committed' | 'released' | 'rolled-back' | 'lost' | 'unknown'

/** What happens to a frame. The ways in which it ends are events, too. */
export type PhaseEvent =
  /** Its end has begun: only what the end waits for may still work in it. */
  | 'end'
  /** It stays open after all: RELEASE was refused, or ROLLBACK TO has taken back its work. */
  | 'reopen'
  /** COMMIT or RELEASE leaves. */
  | 'commit'
  /** The server did not execute it. */
  | 'commit-failed'
  | EndPhase

type Row = { readonly [E in PhaseEvent]?: Phase }

const ENDS: Row = {
  committed: 'committed',
  released: 'released',
  'rolled-back': 'rolled-back',
  lost: 'lost',
  unknown: 'unknown',
}

/** The phase that follows each event in each phase. An event that is not listed changes nothing. */
export const TRANSITIONS: { readonly [P in Phase]: Row } = {
  open: { ...ENDS, end: 'ending', commit: 'committing' },
  ending: { ...ENDS, reopen: 'open', commit: 'committing' },
  committing: { ...ENDS, 'commit-failed': 'ending' },
  committed: {},
  released: {},
  'rolled-back': {},
  // The connection was lost while COMMIT was on its way: its answer, or the lack of one, decides.
  lost: { committed: 'committed', 'rolled-back': 'rolled-back', unknown: 'unknown' },
  unknown: {},
}

/** Whether a frame in that phase has left the stack. */
export const ENDED: { readonly [P in Phase]: boolean } = {
  open: false,
  ending: false,
  committing: false,
  committed: true,
  released: true,
  'rolled-back': true,
  lost: true,
  unknown: true,
}
