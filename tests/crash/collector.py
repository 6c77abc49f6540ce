"""Sweeps up unnamed bytes once, as the rounds of a worker do every few minutes."""

from store.blobs import Blobs
from store.database import Database
from store.settings import StoreSettings

if __name__ == "__main__":
    places = StoreSettings()
    Blobs(Database(places.database), places.blobs, places.cache).collect()
