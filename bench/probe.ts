import type { Client } from 'pg'

/** A value with its unit. */
export interface Reading {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** The standard error, or half the spread. */
  readonly uncertainty: number
  readonly goal?: string
  readonly met?: boolean
  /** The parts of the value, line by line. */
  readonly details?: readonly string[]
}

export interface ProbeResult {
  readonly probe: string
  readonly title: string
  readonly readings: readonly Reading[]
}

export interface ProbePlace {
  readonly url: string
  readonly observer: Client
  /** The number of operations, for probes that run many. */
  readonly transactions: number
  /** Whether to list functions with the number of their calls. */
  readonly listsCalls: boolean
  /** The number of fresh processes for each measurement. */
  readonly processes: number
  /** Whether this is a smoke test. */
  readonly quick: boolean
  /** The source of the bridge to compare with. */
  readonly against?: string
}

/** A measurement that is not a time, or that is not taken in rounds of this process. */
export interface Probe {
  /** The name for `--only`. */
  readonly name: string
  readonly title: string
  read(place: ProbePlace): Promise<readonly Reading[]>
}
