import { timeoutError } from '../transaction/frame-errors.ts'
import type { CallSite } from '../transaction/call-site.ts'

/** Combines the signals that end a block from outside: the user's, its timeout, and the outer block's. */
export class AbortScope {
  readonly #controller = new AbortController()
  readonly #sources: readonly AbortSignal[]
  readonly #timer: NodeJS.Timeout | undefined
  readonly #onAbort = (event: Event): void => {
    this.#controller.abort((event.target as AbortSignal).reason)
  }

  constructor(
    sources: readonly (AbortSignal | undefined)[],
    timeout: number | undefined,
    callSite: CallSite | undefined,
  ) {
    this.#sources = sources.filter((source) => source !== undefined)
    for (const source of this.#sources) {
      if (source.aborted) this.#controller.abort(source.reason)
      source.addEventListener('abort', this.#onAbort)
    }
    if (timeout !== undefined) {
      this.#timer = setTimeout(
        () => this.#controller.abort(timeoutError(timeout, callSite)),
        timeout,
      )
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Stops the timer and unsubscribes from the signals, which may outlive the block. */
  end(): void {
    clearTimeout(this.#timer)
    for (const source of this.#sources) source.removeEventListener('abort', this.#onAbort)
  }
}
