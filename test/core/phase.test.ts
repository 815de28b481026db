import { describe, expect, test } from 'vitest'
import { ENDED, type Phase, type PhaseEvent } from '../../packages/bridge/src/transaction/phase.ts'
import { TransactionStack } from '../../packages/bridge/src/transaction/stack.ts'
import { scoped } from './make-frame.ts'

const EVENTS = [
  'end',
  'reopen',
  'commit',
  'commit-failed',
  'committed',
  'released',
  'rolled-back',
  'lost',
  'unknown',
] as const satisfies readonly PhaseEvent[]

/** The phase that follows each event, in the order of EVENTS. A dash: the phase stays. */
const TABLE: { readonly [P in Phase]: string } = {
  open: 'ending - committing - committed released rolled-back lost unknown',
  ending: '- open committing - committed released rolled-back lost unknown',
  committing: '- - - ending committed released rolled-back lost unknown',
  committed: '- - - - - - - - -',
  released: '- - - - - - - - -',
  'rolled-back': '- - - - - - - - -',
  lost: '- - - - committed - rolled-back - unknown',
  unknown: '- - - - - - - - -',
}

const rows = Object.entries(TABLE) as [Phase, string][]

describe.each(rows)('a frame that is %s', (phase, row) => {
  const followers = row.split(' ').map((follower) => (follower === '-' ? phase : follower))

  test.each(EVENTS.map((event, at) => [event, followers[at]] as const))(
    'is after "%s" %s',
    (event, follower) => {
      const frame = new TransactionStack().push(scoped)
      frame.phase = phase
      frame.transition(event)
      expect(frame.phase).toBe(follower)
    },
  )
})

test('a frame has ended when it is none of open, ending and committing', () => {
  const ended = rows.map(([phase]) => phase).filter((phase) => ENDED[phase])
  expect(ended).toEqual(['committed', 'released', 'rolled-back', 'lost', 'unknown'])
})
