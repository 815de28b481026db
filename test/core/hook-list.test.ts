import { describe, expect, test } from 'vitest'
import {
  type Hook,
  type HookKind,
  HookList,
  runEach,
} from '../../packages/bridge/src/transaction/hooks.ts'
import { type Outcome, outcomeOfCommit } from '../../packages/bridge/src/outcome.ts'
import { Scope } from '../../packages/bridge/src/transaction/scope.ts'

const KINDS: readonly HookKind[] = [
  'before-commit',
  'after-commit',
  'after-rollback',
  'after-completion',
]

const hook = (kind: HookKind, run: Hook['run'] = () => {}): Hook => ({ kind, run })

function listOfAll(): { list: HookList; hooks: Hook[] } {
  const list = new HookList()
  const hooks = [...KINDS, ...KINDS].map((kind) => hook(kind))
  for (const each of hooks) list.add(each)
  return { list, hooks }
}

describe('a list of hooks', () => {
  test.each<[Outcome, HookKind[]]>([
    ['committed', ['after-commit', 'after-completion', 'after-commit', 'after-completion']],
    ['rolled-back', ['after-rollback', 'after-completion', 'after-rollback', 'after-completion']],
    ['unknown', ['after-completion', 'after-completion']],
  ])(
    'taken for %s returns the hooks that wait for it, in order, and drops the rest',
    (outcome, kinds) => {
      const { list, hooks } = listOfAll()
      const due = list.takeDue(outcome)
      expect(due.map(({ kind }) => kind)).toEqual(kinds)
      expect(due).toEqual(hooks.filter((each) => due.includes(each)))
      for (const other of ['committed', 'rolled-back', 'unknown'] as const) {
        expect(list.takeDue(other)).toEqual([])
      }
    },
  )

  test('returns hooks of a kind once, and retains the others', () => {
    const { list } = listOfAll()
    expect(list.take('before-commit')).toHaveLength(2)
    expect(list.take('before-commit')).toEqual([])
    expect(list.take('after-commit', 'after-rollback')).toHaveLength(4)
    expect(list.takeDue('committed').map(({ kind }) => kind)).toEqual([
      'after-completion',
      'after-completion',
    ])
  })

  test('can contain the same function twice', () => {
    const list = new HookList()
    const same = hook('after-commit')
    list.add(same)
    list.add(same)
    expect(list.takeDue('committed')).toEqual([same, same])
  })

  test('that is moved is appended to the other, in order, and is then empty', () => {
    const parent = new HookList()
    const child = new HookList()
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(() => hook('after-commit'))
    parent.add(a as Hook)
    child.add(b as Hook)
    child.add(c as Hook)
    child.moveTo(parent)
    parent.add(d as Hook)
    expect(child.takeDue('committed')).toEqual([])
    const due = parent.takeDue('committed')
    expect(due).toHaveLength(4)
    for (const [index, each] of [a, b, c, d].entries()) expect(due[index]).toBe(each)
  })

  test('runs hooks of the bridge first', () => {
    const list = new HookList()
    const users = hook('after-commit')
    const own = hook('after-commit')
    list.add(users)
    list.addFirst(own)
    const due = list.takeDue('committed')
    expect(due[0]).toBe(own)
    expect(due[1]).toBe(users)
  })
})

describe('runHooks', () => {
  test('runs one after the other, and returns the errors in order', async () => {
    const ran: string[] = []
    const errors = await runEach(
      [
        hook('after-commit', async () => {
          await Promise.resolve()
          ran.push('slow')
        }),
        hook('after-commit', () => {
          ran.push('throws')
          throw new Error('first')
        }),
        hook('after-commit', () => Promise.reject(new Error('second'))),
        hook('after-commit', () => void ran.push('last')),
      ],
      undefined,
      'committed',
    )
    expect(ran).toEqual(['slow', 'throws', 'last'])
    expect(errors).toEqual([new Error('first'), new Error('second')])
  })

  test('passes the scope and the outcome to each', async () => {
    const link = new Scope(undefined, {}, 'block')
    const seen: unknown[] = []
    const spy = hook('after-completion', (...args) => void seen.push(...args))
    await runEach([spy, spy], link, 'unknown')
    expect(seen).toEqual([link, 'unknown', link, 'unknown'])
  })

  test('that is empty has no errors', async () => {
    expect(await runEach([], undefined, 'committed')).toEqual([])
  })
})

describe('the answer to COMMIT', () => {
  test.each([
    ['COMMIT', 'committed'],
    ['ROLLBACK', 'rolled-back'],
    ['', 'rolled-back'],
    ['commit', 'rolled-back'],
  ])('%j means %s', (tag, outcome) => {
    expect(outcomeOfCommit(tag)).toBe(outcome)
  })
})
