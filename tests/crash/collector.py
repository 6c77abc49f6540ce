"""Sweeps up all unnamed bytes, a hundred at a time, as the rounds of a worker do every few minutes."""

from store.blobs import Blobs
from store.database import Database
from store.settings import StoreSettings

if __name__ == "__main__":
    places = StoreSettings()
    blobs = Blobs(Database(places.database), places.blobs, places.cache)
    while blobs.collect():
        pass
