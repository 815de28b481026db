/** How many milliseconds what was cancelled may go on before it is cancelled once more. */
const AGAIN = 500

/** The requests to cancel what is under way on one connection. */
export class CancelRequests {
  readonly #request: (reason: unknown) => Promise<void>
  #again: NodeJS.Timeout | undefined
  /** While a request is on its way: nothing may be sent that it could hit. */
  underWay: Promise<void> | undefined

  constructor(request: (reason: unknown) => Promise<void>) {
    this.#request = request
  }

  /** Asks the server, and again until it is over: a request that is quicker than the statement hits nothing. */
  start(reason: unknown, isOver: () => boolean): void {
    this.stop()
    this.underWay ??= this.#request(reason).finally(() => {
      this.underWay = undefined
      if (isOver()) return
      this.#again = setTimeout(() => isOver() || this.start(reason, isOver), AGAIN)
    })
  }

  stop(): void {
    clearTimeout(this.#again)
  }
}
