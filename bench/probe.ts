import type { Client } from 'pg'

/** A number that is no ratio of times. */
export interface Reading {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** The standard error, or half the spread. */
  readonly uncertainty: number
  readonly goal?: string
  readonly met?: boolean
  /** What the value is made of, line by line. */
  readonly details?: readonly string[]
}

export interface ProbeResult {
  readonly probe: string
  readonly title: string
  readonly readings: readonly Reading[]
}

interface ProbePlace {
  readonly url: string
  readonly observer: Client
  /** For those that run many. */
  readonly transactions: number
  /** Whether functions are to be listed with how often they are called. */
  readonly listsCalls: boolean
}

/** Something that is measured in another unit than time. */
export interface Probe {
  /** For `--only`. */
  readonly name: string
  readonly title: string
  read(place: ProbePlace): Promise<readonly Reading[]>
}
