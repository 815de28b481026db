import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { type Speaker, type World, worlds } from '../setup/worlds.ts'

const app = useApp()
const numbers = Array.from({ length: 50 }, (_, n) => n)
const sum = (path: readonly number[]): number => path.reduce((one, other) => one + other, 0)

type Combine = (promises: Promise<unknown>[]) => Promise<unknown>

/** How a block waits for those in it: each tree has its own way. */
const combinators: readonly Combine[] = [
  (promises) => Promise.all(promises),
  (promises) => Promise.allSettled(promises),
  (promises) => Promise.race(promises),
]

/** A block of the tree: its notes, its parent, and how it ended. */
class Block {
  readonly path: string
  readonly parent: Block | undefined
  readonly notes = new Map<string, 'kept' | 'lost'>()
  state: 'open' | 'kept' | 'lost' = 'open'

  constructor(path: string, parent?: Block) {
    this.path = path
    this.parent = parent
  }

  /** The notes that must be in the table: those written in blocks that were fulfilled on all levels. */
  get rows(): string[] {
    for (let at: Block | undefined = this; at !== undefined; at = at.parent) {
      if (at.state !== 'kept') return []
    }
    return [...this.notes].filter(([, state]) => state === 'kept').map(([text]) => text)
  }
}

/** Grows trees of blocks and keeps account of every promise in them. */
class Forest {
  readonly blocks: Block[] = []
  readonly started: Promise<unknown>[] = []
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  /** Opens a block with others in it: two, each of which has one more. */
  grow(path: readonly number[], parent: Block): Promise<unknown> {
    const block = new Block(path.join('.'), parent)
    this.blocks.push(block)
    const speaker = sum(path) % 2 === 0 ? this.#world.outer : this.#world.inner
    const opened = speaker.block(app, async () => {
      await this.#note(block, speaker, 'before')
      const nested = [0, 1, 2]
        .slice(path.length)
        .map((_, n) => this.grow([...path, n + sum(path)], block))
      // a statement of the parent, beside blocks that are open in it
      const beside = this.#note(block, speaker, 'beside')
      await setImmediate()
      const combine = combinators[(path[0] ?? 0) % combinators.length]
      if (nested.length > 0) await combine?.(nested)
      await beside
      if (sum(path) % 5 === 0) throw new Error('boom')
      await this.#note(block, speaker, 'after')
    })
    return this.#settle(opened, (state) => {
      block.state = state
    })
  }

  #note(block: Block, speaker: Speaker, which: string): Promise<unknown> {
    const text = `${block.path} ${which}`
    return this.#settle(Promise.resolve(speaker.note(app, text)), (state) => {
      block.notes.set(text, state)
    })
  }

  #settle(promise: Promise<unknown>, tell: (state: 'kept' | 'lost') => void): Promise<unknown> {
    const told = promise.then(
      (value) => {
        tell('kept')
        return value
      },
      (error: unknown) => {
        tell('lost')
        throw error
      },
    )
    // a race leaves losers behind that nobody awaits
    this.started.push(told.catch(() => undefined))
    return told
  }
}

test.each(worlds)(
  'fifty siblings of $name, with nested blocks: the rows of fulfilled blocks are there, those of rejected ones are not',
  { timeout: 30_000 },
  async (world) => {
    const forest = new Forest(world)
    const root = new Block('root')
    await world.outer.block(app, () => {
      return Promise.allSettled(numbers.map((n) => forest.grow([n], root)))
    })
    root.state = 'kept'
    for (let settled = 0; settled < forest.started.length; settled++) await forest.started[settled]

    const { blocks } = forest
    expect(blocks.filter(({ state }) => state === 'open')).toEqual([])
    expect((await app.rows()).toSorted()).toEqual(blocks.flatMap(({ rows }) => rows).toSorted())

    // at every level some were kept, and some not
    for (const level of [1, 2, 3]) {
      const states = blocks.filter(({ path }) => path.split('.').length === level)
      expect(new Set(states.map(({ state }) => state))).toEqual(new Set(['kept', 'lost']))
    }
    const lines = app.transcript.lines()
    expect([lines[0], lines.at(-1)]).toEqual(['begin', 'commit'])
    expect(lines.some((line) => line.startsWith('rollback to savepoint sp2'))).toBe(true)
  },
)
