import { setImmediate } from 'node:timers/promises'
import { HookError, Rollback } from 'shared-connection'
import type { App } from '../setup/app.ts'
import { Boom, wordFor } from './outcome.ts'
import { Place } from './place.ts'
import {
  type Block,
  type ByHand,
  type Hook,
  openingOf,
  type Parallel,
  type Savepoint,
  type Step,
} from './program.ts'
import { Record, RecordedFrame } from './record.ts'
import { type Handle, open, sendByHand, sendFailure, sendNote } from './speech.ts'

type Here = Place<RecordedFrame, Handle>

/** The value of a block that ended normally, unlike that of `Rollback`. */
const DONE = Symbol('done')

/** Runs a program on the bridge, and records its results. */
export async function run(
  program: readonly Step[],
  app: App,
  nesting: 'savepoint' | 'join',
): Promise<Record> {
  const runner = new Runner(app, nesting)
  await runner.steps(program, new Place()).catch(() => undefined)
  // A branch that is still running may start others.
  for (let done = 0; done < runner.record.loose.length;) {
    const branches = runner.record.loose.slice(done)
    done += branches.length
    await Promise.allSettled(branches)
  }
  return runner.record
}

class Runner {
  readonly record = new Record()
  readonly #app: App
  readonly #nesting: 'savepoint' | 'join'

  constructor(app: App, nesting: 'savepoint' | 'join') {
    this.#app = app
    this.#nesting = nesting
  }

  async steps(steps: readonly Step[], here: Here): Promise<void> {
    for (const step of steps) {
      try {
        await this.#step(step, here)
      } catch (error) {
        if (!step.caught) throw error
      }
    }
  }

  async #step(step: Step, here: Here): Promise<void> {
    switch (step.kind) {
      case 'note':
        return this.#note(step, here)
      case 'failure':
        return this.#logged(step.id, sendFailure(this.#app, step.via, here.handle(step.up)))
      case 'block':
        return this.#logged(step.id, this.#block(step, here))
      case 'throw':
        throw step.what === 'Error' ? new Boom(`boom ${step.id}`) : new Rollback()
      case 'parallel':
        return this.#parallel(step, here)
      case 'unawaited':
        void this.#start(step.body, here)
        return
      case 'hook':
        return this.#logged(step.id, this.#hook(step, here))
      case 'savepoint':
        return this.#savepoint(step, here)
      case 'rollbackOnExit':
        return this.#rollbackOnExit(here.handle(step.up))
      case 'byHand':
        return this.#byHand(step, here)
      case 'pause':
        await setImmediate()
        return
    }
  }

  /** Records the result of a step, and passes it on. */
  async #logged(what: number | string, promise: Promise<unknown>): Promise<void> {
    try {
      await promise
    } catch (error) {
      this.record.log.push(`${what} ${wordFor(error)}`)
      throw error
    }
    this.record.log.push(`${what} fulfilled`)
  }

  async #note({ id, up, via }: Extract<Step, { kind: 'note' }>, here: Here): Promise<void> {
    const handle = via === 'tx' || via === 'trx' ? here.handle(up) : undefined
    const frame = here.frameOf(handle)?.innermost
    const note = { text: `n${id}`, frame, isFulfilled: false }
    this.record.notes.push(note)
    await this.#logged(id, sendNote(this.#app, via, handle, note.text))
    note.isFulfilled = true
  }

  async #block({ body, id, opener, up }: Block, here: Here): Promise<void> {
    const handle = opener === 'tx' || opener === 'trx' ? here.handle(up) : undefined
    const target = here.frameOf(handle)
    const opening = openingOf(opener, target !== undefined, this.#nesting)
    let frame: RecordedFrame | undefined
    let isJoined = false
    let isThrough = false
    const inside = async (given: Omit<Handle, 'frame'>): Promise<unknown> => {
      if (opening === 'join' && target !== undefined) {
        isJoined = true
        await this.steps(body, here.joined(target, { ...given, frame: target }))
      } else if (opening === 'nothing') await this.steps(body, here.outside())
      else {
        frame = new RecordedFrame(opening === 'savepoint' ? target?.innermost : undefined)
        await this.steps(body, here.inside(frame, { ...given, frame }))
      }
      isThrough = true
      return DONE
    }
    try {
      const value = await open(this.#app, opener, handle, inside)
      if (frame !== undefined) frame.isKept = value === DONE && !this.#takenBack.has(frame)
    } catch (error) {
      if (frame !== undefined) {
        frame.isKept = isThrough && error instanceof HookError && error.outcome === 'committed'
      }
      if (isJoined && target !== undefined) this.record.failedJoins.push({ id, frame: target })
      throw error
    }
  }

  readonly #takenBack = new Set<RecordedFrame>()

  #rollbackOnExit(handle: Handle | undefined): void {
    if (handle === undefined) return
    this.#takenBack.add(handle.frame)
    this.#app.shared.of(handle.object).rollbackOnExit()
  }

  #start(body: readonly Step[], here: Here): Promise<void> {
    const branch = this.steps(body, here.branch())
    branch.catch(() => undefined)
    this.record.loose.push(branch)
    return branch
  }

  async #parallel({ branches, how }: Parallel, here: Here): Promise<void> {
    const started = branches.map((branch) => this.#start(branch, here))
    await (how === 'all' ? Promise.all(started) : Promise.allSettled(started))
  }

  async #hook({ id, moment, scope, through, throws, up }: Hook, here: Here): Promise<void> {
    const handle = through === 'handle' ? here.handle(up) : undefined
    const frame = (handle?.frame ?? here.ambient)?.innermost
    const hook = {
      id,
      moment,
      frame: scope === 'transaction' ? frame?.root : frame,
      isRegistered: true,
      runs: [] as unknown[],
    }
    this.record.hooks.push(hook)
    const { db, shared } = this.#app
    const hooks =
      handle === undefined ? (through === 'kysely' ? db : shared) : shared.of(handle.object)
    const fn = (outcome: unknown = impliedBy(moment)): void => {
      hook.runs.push(outcome)
      this.record.log.push(`${id} ran ${String(outcome)}`)
      if (throws) throw new Boom(`boom ${id}`)
    }
    try {
      await hooks[moment](fn, { scope })
    } catch (error) {
      // Outside a transaction the hook has run at once, and this is its error.
      hook.isRegistered = error instanceof Boom
      throw error
    }
  }

  async #savepoint({ body, end, id, via }: Savepoint, here: Here): Promise<void> {
    const around = here.ambient?.innermost
    if (around === undefined) return this.steps(body, here)
    const send = (command: string): Promise<void> =>
      this.#logged(`${id} ${command}`, sendByHand(this.#app, via, `${command} s${id}`))
    const rollBack = async (): Promise<void> => {
      const isTold = await settled(send('rollback to'))
      if (!isTold.done) throw isTold.error
      mark.isKept = false
      around.mark = new RecordedFrame(around, true)
      if (isTold.error !== undefined) throw isTold.error
    }
    const release = async (): Promise<void> => {
      await send('release')
      around.mark = undefined
    }
    await send('savepoint')
    const mark = new RecordedFrame(around, true)
    around.mark = mark
    try {
      await this.steps(body, here)
    } catch (error) {
      if (end !== 'recover') throw error
      await rollBack()
      return release()
    }
    if (end === 'rollback') await rollBack()
    else if (end !== 'leave') await release()
  }

  async #byHand({ id, text, via }: ByHand, here: Here): Promise<void> {
    const root = here.ambient?.root
    if (root === undefined) return
    const told = await settled(this.#logged(id, sendByHand(this.#app, via, text)))
    if (told.done && text === 'rollback') root.isKept = false
    if (told.error !== undefined) throw told.error
  }
}

/** Whether a command was executed. An error of hooks after it does not undo it. */
async function settled(promise: Promise<unknown>): Promise<{ done: boolean; error?: unknown }> {
  try {
    await promise
    return { done: true }
  } catch (error) {
    return { done: wordFor(error) === 'HookError', error }
  }
}

function impliedBy(moment: Hook['moment']): string {
  return moment === 'afterRollback' ? 'rolled-back' : 'committed'
}
