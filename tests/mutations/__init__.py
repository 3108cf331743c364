"""Mutations: deliberate mistakes in the controller and the speaker, each of which the tests must notice."""
