import { ModelFrame } from './frame.ts'
import { type Held, Place } from './place.ts'
import {
  type Block,
  type ByHand,
  type Hook,
  openingOf,
  type Parallel,
  type Savepoint,
  type Step,
} from './program.ts'
import { abortedBy, attempt, by, Thrown, type Word } from './thrown.ts'

type Here = Place<ModelFrame, Held<ModelFrame>>

/** The required behaviour of a program. */
export interface Prediction {
  /** The steps that settle and the hooks that run, in order. */
  readonly log: readonly string[]
  readonly rows: ReadonlySet<string>
  /** Whether that order is fixed. The order of parallel branches is not. */
  readonly isOrdered: boolean
  /** Whether the program alone decides it. A branch that is not awaited may come too late. */
  readonly isCertain: boolean
}

/** Predicts the behaviour of a program, without a database. */
export function predict(program: readonly Step[], nesting: 'savepoint' | 'join'): Prediction {
  const oracle = new Oracle(nesting)
  attempt(() => oracle.steps(program, new Place()))
  return oracle
}

class Oracle implements Prediction {
  readonly log: string[] = []
  readonly rows = new Set<string>()
  isOrdered = true
  isCertain = true
  readonly #nesting: 'savepoint' | 'join'

  constructor(nesting: 'savepoint' | 'join') {
    this.#nesting = nesting
  }

  steps(steps: readonly Step[], here: Here): void {
    for (const step of steps) {
      const thrown = attempt(() => this.#step(step, here))
      if (thrown !== undefined && !step.caught) throw new Thrown(thrown)
    }
  }

  #step(step: Step, here: Here): void {
    switch (step.kind) {
      case 'note':
      case 'failure':
        return this.#logged(step.id, () => this.#statement(step, here))
      case 'block':
        return this.#logged(step.id, () => this.#block(step, here))
      case 'throw':
        throw new Thrown(step.what === 'Error' ? `boom ${step.id}` : 'Rollback')
      case 'parallel':
        return this.#parallel(step, here)
      case 'unawaited':
        return this.#unawaited(step.body, here)
      case 'hook':
        return this.#logged(step.id, () => this.#hook(step, here))
      case 'savepoint':
        return this.#savepoint(step, here)
      case 'rollbackOnExit': {
        const handle = here.handle(step.up)
        if (handle !== undefined) handle.frame.rollsBackOnExit = true
        return
      }
      case 'byHand':
        return this.#byHand(step, here)
      case 'pause':
    }
  }

  #logged(what: number | string, fn: () => void): void {
    const thrown = attempt(fn)
    this.log.push(`${what} ${thrown ?? 'fulfilled'}`)
    if (thrown !== undefined) throw new Thrown(thrown)
  }

  #statement({ id, kind, up, via }: Extract<Step, { kind: 'note' | 'failure' }>, here: Here): void {
    const frame = here.frameOf(via === 'tx' || via === 'trx' ? here.handle(up) : undefined)
    if (frame?.isOver) throw new Thrown('TransactionClosedError')
    const inside = frame?.innermost
    if (inside?.failure !== undefined) throw new Thrown('25P02')
    if (kind === 'failure') {
      if (inside !== undefined) inside.failure = '22012'
      throw new Thrown('22012')
    }
    if (inside === undefined) this.rows.add(`n${id}`)
    else inside.notes.push(`n${id}`)
  }

  #block({ body, opener, up }: Block, here: Here): void {
    const handle = opener === 'tx' || opener === 'trx' ? here.handle(up) : undefined
    const target = here.frameOf(handle)
    const isOfTheBridge = !['drizzle', 'kysely', 'tx', 'trx', 'outside'].includes(opener)
    switch (openingOf(opener, target !== undefined, this.#nesting)) {
      case 'refused':
        throw new Thrown('PropagationError')
      case 'nothing':
        return this.steps(body, here.outside())
      case 'join':
        return this.#join(body, target as ModelFrame, here)
      case 'savepoint':
        return this.#savepointBlock(body, target as ModelFrame, here, isOfTheBridge)
      case 'transaction':
        return this.#frame(body, new ModelFrame(undefined), here, isOfTheBridge)
    }
  }

  #join(body: readonly Step[], frame: ModelFrame, here: Here): void {
    if (frame.isOver) throw new Thrown('TransactionClosedError')
    const thrown = attempt(() => this.steps(body, here.joined(frame, { frame })))
    // The frame that it joined was rolled back meanwhile.
    if (thrown === undefined && frame.isOver && !frame.isKept) {
      throw new Thrown(abortedBy(frame.abortedBy))
    }
    if (thrown === undefined) return
    // `Rollback` is a request, not a cause.
    frame.rollbackOnly ??= { cause: thrown === 'Rollback' ? undefined : thrown }
    throw new Thrown(thrown)
  }

  #savepointBlock(
    body: readonly Step[],
    target: ModelFrame,
    here: Here,
    isOfTheBridge: boolean,
  ): void {
    if (target.isOver) throw new Thrown('TransactionClosedError')
    const { innermost } = target
    if (innermost.failure !== undefined) throw new Thrown(abortedBy(innermost.failure))
    return this.#frame(body, new ModelFrame(innermost), here, isOfTheBridge)
  }

  /** Runs a block that has its own frame. */
  #frame(body: readonly Step[], frame: ModelFrame, here: Here, isOfTheBridge: boolean): void {
    const thrown = attempt(() => this.steps(body, here.inside(frame, { frame })))
    if (thrown === undefined) return this.#keep(frame)
    const ofHooks = frame.isOver ? undefined : this.#undo(frame)
    // For the bridge, a rollback on request is no failure, so the error of a hook is the first one.
    const first = thrown === 'Rollback' && isOfTheBridge ? (ofHooks ?? thrown) : thrown
    if (first !== 'Rollback' || !isOfTheBridge) throw new Thrown(first)
  }

  /** Ends a block that has succeeded. */
  #keep(frame: ModelFrame): void {
    if (frame.isOver) throw new Thrown(abortedBy(frame.failure))
    const failure = frame.abortedBy
    const { rollbackOnly } = frame
    if (rollbackOnly !== undefined) {
      this.#undo(frame)
      throw new Thrown(by('RollbackOnlyError', rollbackOnly.cause))
    }
    if (frame.rollsBackOnExit) {
      const ofHooks = this.#undo(frame)
      if (ofHooks !== undefined) throw new Thrown(ofHooks)
    } else if (failure !== undefined) {
      this.#undo(frame)
      throw new Thrown(abortedBy(failure))
    } else if (frame.parent === undefined) this.#commit(frame)
    else frame.release()
  }

  #commit(frame: ModelFrame): void {
    frame.closeMarks()
    const lastCalls = frame.hooks.filter(({ moment }) => moment === 'beforeCommit')
    for (const hook of lastCalls) {
      const thrown = attempt(() => this.#runHook(hook, 'committed'))
      if (thrown === undefined) continue
      // No hook runs after one that throws, and branches may register theirs in any order.
      if (!this.isOrdered && lastCalls.length > 1) this.isCertain = false
      this.#undo(frame)
      throw new Thrown(thrown)
    }
    frame.release()
    for (const note of frame.notes) this.rows.add(note)
    const due = frame.hooks.filter(({ moment }) => DUE_AT_COMMIT.has(moment))
    const thrown = this.#runHooks(due, 'committed')
    if (thrown !== undefined) throw new Thrown(thrown)
  }

  /** Rolls back a frame, and runs its hooks. Returns the word for their error. */
  #undo(frame: ModelFrame): Word {
    const due = frame.rollBack()
    frame.hasEnded = true
    return this.#runHooks(due, 'rolled-back')
  }

  #runHooks(hooks: readonly Hook[], outcome: string): Word {
    const thrown = hooks.map((hook) => attempt(() => this.#runHook(hook, outcome)))
    return thrown.some((word) => word !== undefined) ? 'HookError' : undefined
  }

  #runHook({ id, throws }: Hook, outcome: string): void {
    this.log.push(`${id} ran ${outcome}`)
    if (throws) throw new Thrown(`boom ${id}`)
  }

  #hook(hook: Hook, here: Here): void {
    const handle = hook.through === 'handle' ? here.handle(hook.up) : undefined
    const frame = handle?.frame ?? here.ambient
    if (frame === undefined) {
      if (hook.moment === 'afterCommit' || hook.moment === 'beforeCommit') {
        this.#runHook(hook, 'committed')
      }
      return
    }
    if (frame.isOver) throw new Thrown('TransactionClosedError')
    const home = hook.scope === 'transaction' ? frame.root : frame.innermost
    home.hooks.push(hook)
  }

  #parallel({ branches, how }: Parallel, here: Here): void {
    const before = here.ambient?.fate
    const thrown = branches.map((branch) => attempt(() => this.steps(branch, here.branch())))
    const first = thrown.find((word) => word !== undefined)
    if (branches.length > 1) {
      this.isOrdered = false
      // A branch that aborts the frame makes the other branches fail if it runs before them.
      if (here.ambient?.fate !== before) this.isCertain = false
      if (how === 'all' && first !== undefined) this.isCertain = false
    }
    if (how === 'all' && first !== undefined) throw new Thrown(first)
  }

  #unawaited(body: readonly Step[], here: Here): void {
    this.isOrdered = false
    if (here.ambient !== undefined) this.isCertain = false
    attempt(() => this.steps(body, here.branch()))
  }

  #savepoint({ body, end, id }: Savepoint, here: Here): void {
    const around = here.ambient
    if (around === undefined) return this.steps(body, here)
    const mark = this.#openMark(`${id} savepoint`, around)
    const thrown = attempt(() => this.steps(body, here))
    if (thrown !== undefined && end !== 'recover') throw new Thrown(thrown)
    if (end === 'leave') return
    if (end === 'rollback' || thrown !== undefined) {
      this.#logged(`${id} rollback to`, () => {
        if (around.isOver) throw new Thrown('TransactionClosedError')
        const due = mark.rollBack()
        mark.failure = undefined
        const ofHooks = this.#runHooks(due, 'rolled-back')
        if (ofHooks !== undefined) throw new Thrown(ofHooks)
      })
    }
    if (end === 'rollback') return
    this.#logged(`${id} release`, () => {
      if (around.isOver) throw new Thrown('TransactionClosedError')
      if (mark.abortedBy !== undefined) throw new Thrown(abortedBy(mark.abortedBy))
      mark.release()
      parentOf(mark).mark = undefined
    })
  }

  #openMark(what: string, around: ModelFrame): ModelFrame {
    const { innermost } = around
    const mark = new ModelFrame(innermost)
    this.#logged(what, () => {
      if (around.isOver) throw new Thrown('TransactionClosedError')
      if (innermost.failure !== undefined) throw new Thrown(abortedBy(innermost.failure))
      innermost.mark = mark
    })
    return mark
  }

  #byHand({ id, text, via }: ByHand, here: Here): void {
    const { ambient } = here
    if (ambient === undefined) return
    this.#logged(id, () => {
      // These two need a client first, and an ended transaction has none.
      const asksForClient = via === 'kysely' || via === 'client'
      if (ambient.isOver && asksForClient) throw new Thrown('TransactionClosedError')
      if (text === 'commit') throw new Thrown('ControlStatementError')
      if (ambient.isOver) return
      const thrown = this.#undoAll(ambient)
      if (thrown !== undefined) throw new Thrown(thrown)
      // The block that holds the transaction learns that it was rolled back manually.
      ambient.root.failure ??= 'ControlStatementError'
    })
  }

  /** Rolls back the whole transaction. The hooks of its frames run one list after the other. */
  #undoAll(innermost: ModelFrame): Word {
    for (let at = innermost; at.parent !== undefined; at = at.parent) {
      at.closeMarks()
      if (at.parent.mark !== at) at.parent.hooks.push(...at.hooks)
    }
    return this.#undo(innermost.root)
  }
}

const DUE_AT_COMMIT: ReadonlySet<string> = new Set(['afterCommit', 'afterCompletion'])

function parentOf(mark: ModelFrame): ModelFrame {
  return mark.parent as ModelFrame
}
